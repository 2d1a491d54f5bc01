//! `windlass http serve`: a web server that answers as a file says.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use crate::harness::{Ends, Test, status};

/// A server, stopped when it goes out of scope.
pub struct Mock {
    _server: Ends,
    pub url: String,
}

impl Mock {
    pub fn serve(test: &Test, file: &str) -> Self {
        let mut command = test.command(&["http", "serve", "--from", file, "--port", "0"]);
        let (server, url) = Ends::listening(command.stderr(Stdio::null()));
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self {
            _server: server,
            url,
        }
    }

    /// The status and the body of an answer; 0 if there is none.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = self.url.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address).expect("connected");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let is_whole = read.is_ok() && (!head.contains("chunked") || body.ends_with("0\r\n\r\n"));
        (status.filter(|_| is_whole).unwrap_or(0), body.to_owned())
    }
}

pub fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn what_was_put_can_be_got_and_routes_come_in_order() {
    let test = Test::new().file(
        "s.yaml",
        "http: s
kept: { /a: [1, 2], \"/users/a b\": 1 }
routes:
  - PUT /things/{id}: 
    keep: { id: \"${{ path.id }}\", was: \"${{ body.name }}\", by: \"${{ query.by }}\" }
    status: 201
    headers: { Location: \"/things/${{ path.id }}\" }
  - DELETE /things/{id}:
    forget: true
    status: 204
  - GET /busy:
    times: 2
    status: 503
  - GET /busy:
    gives: done
  - GET /lost:
    drop: true
  - GET /all/{rest*}:
    gives: \"${{ path.rest }}\"
  - POST /broken:
    gives: \"${{ body.a.b.c }}\"
  - GET /n/{x}:
    gives: \"${{ path.x }}\"
  - GET /maybe:
    when: \"${{ 1 }}\"
  - GET /header:
    headers: { x: '${{ \"a\\nb\" }}' }
",
    );
    let mock = Mock::serve(&test, "s.yaml");
    assert_eq!(mock.ask("GET", "/a", ""), (200, "[1,2]".into()));
    assert_eq!(mock.ask("GET", "/things/x", "").0, 404);
    assert_eq!(
        mock.ask("PUT", "/things/x?by=me", "{\"name\": \"n\"}"),
        (201, String::new())
    );
    assert_eq!(
        mock.ask("GET", "/things/x", ""),
        (200, "{\"by\":\"me\",\"id\":\"x\",\"was\":\"n\"}".into())
    );
    assert_eq!(mock.ask("DELETE", "/things/x", "").0, 204);
    assert_eq!(mock.ask("GET", "/things/x", "").0, 404);
    let busy: Vec<_> = (0..4).map(|_| mock.ask("GET", "/busy", "").0).collect();
    assert_eq!(busy, [503, 503, 200, 200]);
    assert_eq!(mock.ask("GET", "/lost", "").0, 0);
    assert_eq!(mock.ask("GET", "/all/b/c", ""), (200, "b/c".into()));
    let (status, body) = mock.ask("POST", "/broken", "{}");
    assert_eq!(status, 500);
    assert!(
        body.contains("could not be evaluated") && body.contains("s.yaml:21:"),
        "{body}"
    );
    assert_eq!(mock.ask("GET", "/n/a%20b%2Fc", ""), (200, "a b/c".into()));
    assert_eq!(mock.ask("GET", "/users/a%20b", ""), (200, "1".into()));
    for (path, said) in [
        ("/maybe", "`when` must be a bool, not an int"),
        ("/header", "is not a valid header"),
    ] {
        let (status, body) = mock.ask("GET", path, "");
        assert!(
            status == 500 && body.contains(said),
            "{path}: {status} {body}"
        );
    }
}

#[test]
fn mistakes_of_a_mock_file_are_shown() {
    let test = Test::new().file(
        "s.yaml",
        "http: s
keep: { a: 1 }
kept: { a: 1 }
routes:
  - get /a:
  - FETCH /a:
  - GET /a:
    gives: \"${{ bdy }}\"
    state: 200
    status: 20
  - status: 200
  - GET /b: 204
",
    );
    let ran = test
        .windlass(&["http", "serve", "--from", "s.yaml", "--port", "0"])
        .expect(2);
    insta::assert_snapshot!(ran.stderr);
    let ran = test
        .windlass(&["http", "serve", "--from", "t.yaml"])
        .expect(2);
    ran.says("can't read `t.yaml`");
}

#[test]
fn the_password_runbook_is_tried_on_its_mock() {
    let (test, mock) = (Test::with_shipped_workflows(), {
        let test = Test::new();
        Mock::serve(&test, &example("rotate-db-password.http.yaml"))
    });
    let admin = format!("admin={}", mock.url);
    let run = |current: &str| {
        test.windlass(&[
            "run",
            "workflows/rotate-db-password.yaml",
            "-p",
            &admin,
            "-p",
            "user=app",
            "-p",
            &format!("current={current}"),
        ])
    };
    let login = |password: &str| {
        mock.ask(
            "POST",
            "/login",
            &format!("{{\"user\": \"app\", \"password\": \"{password}\"}}"),
        )
        .0
    };
    assert_eq!(login("the-old-one"), 200);
    // An undo would set it, so nothing is changed.
    run("wrong").expect(1);
    test.windlass(&["undo", "--yes"]).expect_one_of(&[0, 2]);
    assert_eq!((login("the-old-one"), login("wrong")), (200, 401));
    run("the-old-one").expect(0);
    let new = test.read("out/db-password");
    assert_eq!((login("the-old-one"), login(&new)), (401, 200));
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(login("the-old-one"), 200);
}

#[test]
fn the_pool_runbook_is_tried_on_its_mock() {
    let test = Test::with_shipped_workflows();
    let mock = Mock::serve(&test, &example("drain-patch-verify.http.yaml"));
    let (balancer, agent) = (
        format!("balancer={}", mock.url),
        format!("agent={}", mock.url),
    );
    let arguments = [
        "run",
        "workflows/drain-patch-verify.yaml",
        "-p",
        "hosts=[a, b]",
        "-p",
        "version=2",
        "-p",
        &balancer,
        "-p",
        &agent,
    ];
    test.windlass(&arguments).expect(0);
    let shown = test.shown();
    assert_eq!(status(&shown, "others[b]/back"), "succeeded");
    assert_eq!(mock.ask("GET", "/hosts/b", "").1, "{\"state\":\"active\"}");
    assert_eq!(
        mock.ask("GET", "/b/health", "").1,
        "{\"healthy\":true,\"version\":\"2\"}"
    );
}

/// The server listens on this machine alone.
#[test]
fn it_is_not_reached_from_elsewhere() {
    let test = Test::new().file("s.yaml", "http: s\n");
    let mock = Mock::serve(&test, "s.yaml");
    let port = mock.url.rsplit(':').next().expect("a port").to_owned();
    let addresses = Command::new("hostname")
        .arg("-I")
        .output()
        .expect("hostname is installed");
    let addresses = String::from_utf8_lossy(&addresses.stdout).into_owned();
    for address in addresses
        .split_whitespace()
        .filter(|address| address.contains('.'))
    {
        assert!(
            TcpStream::connect(format!("{address}:{port}")).is_err(),
            "{address}"
        );
    }
}
