//! Params from files, standard input and a terminal.

use std::process::Command;

use super::says;
use crate::harness::{Ran, Test, fed};

const SHOW: &str = "workflow: show
params:
  name: { type: string, default: none }
  list: { type: 'list(int)', default: [] }
  blob: { type: bytes? }
steps:
  a:
    with: { name: '${{ params.name }}', list: '${{ params.list }}', blob: '${{ params.blob }}' }
    run: '#{ text: `[${inputs.name}] ${inputs.list.len()} ${if inputs.blob == () { 0 } else { inputs.blob.len() }}` }'
outputs: { text: '${{ steps.a.text }}' }
";

fn given(test: &Test, arguments: &[&str], stdin: &str) -> Ran {
    fed(
        &mut test.command(&[&["run", "show.yaml"], arguments].concat()),
        stdin,
    )
}

fn text(test: &Test) -> String {
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    outputs["text"].as_str().expect("a text").to_owned()
}

#[test]
fn a_value_comes_from_a_file_or_from_stdin() {
    let test = Test::new()
        .file("show.yaml", SHOW)
        .file("name.txt", "from a file\n");
    test.write("params.yaml", "name: of a map\nlist: [1, 2]\n");
    std::fs::write(test.path("blob"), [0xff, 0, 1]).expect("written");
    for (arguments, stdin, wanted) in [
        (&["-p", "name=@name.txt"][..], "", "[from a file] 0 0"),
        (&["-p", "name=@-"], "1.10\n", "[1.10] 0 0"),
        (&["-p", "list=@-"], "[1, 2, 3]\n", "[none] 3 0"),
        (
            &["-p", "@params.yaml", "-p", "name=later"],
            "",
            "[later] 2 0",
        ),
        (
            &["-p", "name=sooner", "-p", "@params.yaml"],
            "",
            "[of a map] 2 0",
        ),
        (&["-p", "@-"], "{\"list\": [1]}", "[none] 1 0"),
        (&["-p", "name=@@alice"], "", "[@alice] 0 0"),
        (&["-p", "blob=@blob"], "", "[none] 0 3"),
        (
            &["--params", "params.yaml", "-p", "name=@-"],
            "x",
            "[x] 2 0",
        ),
    ] {
        given(&test, arguments, stdin).expect(0);
        assert_eq!(text(&test), wanted, "{arguments:?}");
    }
    for (arguments, said) in [
        (&["-p", "name=@nowhere"][..], "-p name=@@"),
        (&["-p", "@nowhere.yaml"], "nowhere.yaml"),
        (
            &["-p", "name=@-", "-p", "list=@-"],
            "read from stdin, which can be read only once",
        ),
        (
            &["--params", "-", "-p", "name=@-"],
            "read from stdin, which can be read only once",
        ),
    ] {
        let ran = given(&test, arguments, "").expect(2);
        says(&ran, said);
    }
}

/// Types into a terminal when it is asked.
const TYPE: &str = r#"
import os, pty, sys, termios, time
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, typed = b"", False
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if b"secret `token`:" in seen and not typed:
        typed = True
        # What is typed before the terminal is set is dropped.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, b"hunter22\n")
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn a_secret_is_asked_for_at_a_terminal_and_not_shown() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { token: secret }\nsteps:\n  a:\n    with: { token: '${{ params.token }}' }\n    \
         run: 'file::write_secret(\"t\", inputs.token);'\n",
    );
    let windlass = test.command(&["run", "w.yaml"]);
    let mut command = Command::new("python3");
    command
        .args(["-c", TYPE])
        .arg(windlass.get_program())
        .args(windlass.get_args())
        .current_dir(test.path("."))
        .env("TERM", "xterm");
    let ran = Ran::from_output(command.output().expect("python3 starts")).expect(0);
    assert_eq!(test.read("out/t"), "hunter22");
    assert!(!ran.stdout.contains("hunter22"), "{}", ran.stdout);
    // Without a terminal it is missing, as before.
    let ran = test.windlass(&["run", "w.yaml"]).expect(2);
    ran.says("token");
}
