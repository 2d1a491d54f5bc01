//! More than the engine takes in one message, which is 32 MiB.

use super::world::World;
use crate::harness::status;

/// Each reads 900 kB.
const WIDE: &str = "workflow: wide
steps:
  each:
    for_each: [NUMBERS]
    run: |
      file::read(\"big.txt\");
";

const DEEP: &str = "workflow: deep
steps:
  many:
    run: |
      for i in 0..40 { file::read(\"big.txt\"); }
";

#[test]
fn many_steps_give_more_than_one_message_holds() {
    let world = World::new(1);
    world.test.write("out/big.txt", &"x".repeat(900_000));
    let numbers: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    let text = WIDE.replace("NUMBERS", &numbers.join(", "));
    world.test.write("wide.yaml", &text);
    world
        .test
        .windlass(&["run", "wide.yaml", "--target", "t"])
        .expect(0);
    assert_eq!(status(&world.test.shown(), "each[39]"), "succeeded");
    world.test.windlass(&["audit"]).expect(0);
}

#[test]
fn one_step_may_give_half_of_one() {
    let world = World::new(1);
    world.test.write("out/big.txt", &"x".repeat(900_000));
    world.test.write("deep.yaml", DEEP);
    let run = ["run", "deep.yaml", "--target", "t"];
    let ran = world.test.windlass(&run).expect(1);
    ran.says("result-too-large");
    ran.says("16 MiB");
    // So it is without an engine.
    let mut command = world.test.command(&run);
    let output = command.env_remove("WINDLASS_ON").output();
    let here = crate::harness::Ran::from_output(output.expect("windlass starts")).expect(1);
    here.says("16 MiB");
}
