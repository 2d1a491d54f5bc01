//! Targets with a mesh: rehearsal clusters of the versions that the configuration says, without an account of AWS.

use crate::harness::Test;

/// Says which images run, makes a CA, and so opens both embedded servers.
const LOOK: &str = "workflow: look
params:
  cluster: { type: string, default: cluster-1 }
kube: ['mgmt', '${{ params.cluster }}']
steps:
  images:
    with: { cluster: '${{ params.cluster }}' }
    run: |
      let image = |cluster, namespace, workload| {
          kube::get(cluster, namespace, workload).spec.template.spec.containers[0].image
      };
      #{
          istiod: image.call(inputs.cluster, \"istio-system\", \"deployment/istiod\"),
          ztunnel: image.call(inputs.cluster, \"istio-system\", \"daemonset/ztunnel\"),
          gloo: image.call(\"mgmt\", \"gloo-mesh\", \"deployment/gloo-mesh-mgmt-server\"),
      }
  ca:
    run: |
      #{ arn: pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"R\" } }) }
outputs:
  images: ${{ steps.images }}
  ca: ${{ steps.ca.arn }}
";

const TARGETS: &str = r#"[targets.old]
mesh = { istio = "1.29", ztunnel = "1.29.1", gloo = "2.5", multi-root = "off", mount = "50ms" }

[targets.new]
mesh = {}
"#;

#[test]
fn each_target_rehearses_on_a_mesh_of_its_own_versions() {
    let test = Test::new()
        .file("look.yaml", LOOK)
        .file("windlass.toml", TARGETS);
    let images = |target: &str| {
        let outputs = test.outputs_of(&["look.yaml", "--target", target]);
        let images = &outputs["images"];
        let tag = |name: &str| {
            let image = images[name].as_str().unwrap_or_default();
            image.rsplit(':').next().unwrap_or_default().to_owned()
        };
        ["istiod", "ztunnel", "gloo"].map(tag)
    };
    assert_eq!(images("old"), ["1.29", "1.29.1", "2.5"]);
    assert_eq!(images("new"), ["1.30", "1.30", "2.6"]);
    // Nothing of either is in the folders of the target `local`.
    assert!(!test.path(".windlass/kube").exists());
    assert!(!test.path(".windlass/pca").exists());

    // Another version in the configuration is an upgrade of the clusters that are there.
    test.write("windlass.toml", &TARGETS.replace("1.29.1", "1.29.2"));
    assert_eq!(images("old"), ["1.29", "1.29.2", "2.5"]);

    // What looks at a target finds its clusters and its CAs.
    let looked = test.windlass(&["mesh", "--target", "old", "--json"]);
    let seen = looked.expect_one_of(&[0, 1]).json();
    let handshakes = seen["handshakes"].as_array().map_or(0, Vec::len);
    assert!(handshakes > 10, "{seen:#}");
    let none = test.windlass(&["mesh"]).expect(2).stderr;
    assert!(none.contains("local has no rehearsal clusters"), "{none}");
    let scan = [
        "certs",
        "scan",
        "--kube",
        "cluster-1",
        "--target",
        "old",
        "--json",
    ];
    let found = test.windlass(&scan).expect(0).stdout;
    assert!(found.contains("istio-ca-secret"), "{found}");
    test.windlass(&["certs", "scan", "--pca", "old"]).expect(0);
    let refused = test.windlass(&["certs", "scan", "--kube", "cluster-9", "--target", "old"]);
    let refused = refused.expect(2).stderr;
    assert!(refused.contains("targets/old/kube/cluster-9"), "{refused}");
    let valid = test.windlass(&["validate", "look.yaml", "--target", "old"]);
    let valid = valid.expect(0).stderr;
    assert!(
        valid.contains("the target old has everything it needs"),
        "{valid}"
    );
    test.windlass(&["plan", "look.yaml", "--target", "old"])
        .expect(0);
}

/// The commands of docs/rotation.md.
#[test]
#[ignore = "takes a minute: --run-ignored all -E 'test(a_root_is_replaced_in_a_rehearsal)'"]
fn a_root_is_replaced_in_a_rehearsal_of_other_versions() {
    let test = Test::with_shipped_workflows();
    let page = include_str!("../docs/rotation.md");
    let (_, configuration) = page.split_once("```toml\n").expect("a configuration");
    let (configuration, rest) = configuration.split_once("```").expect("its end");
    test.write("windlass.toml", configuration);
    let (_, commands) = rest.split_once("```sh\n").expect("commands");
    let (commands, _) = commands.split_once("```").expect("their end");
    for line in commands.lines() {
        let words = line.replace(
            "clusters='[cluster-1, cluster-2]'",
            "clusters=[cluster-1,cluster-2]",
        );
        let words: Vec<_> = words.split_whitespace().skip(1).collect();
        let ran = test.windlass(&words).expect(0);
        if words[0] == "mesh" {
            ran.prints(" 0 failed");
        }
    }
    let file = "workflows/rotate-root.yaml";
    let old = configuration.replace("gloo = \"2.6\"", "gloo = \"2.6\", ztunnel = \"1.29.1\"");
    assert_ne!(old, configuration);
    test.write("windlass.toml", &old);
    let again = [
        "run",
        file,
        "--target",
        "rehearsal",
        "-p",
        "clusters=[cluster-1,cluster-2]",
    ];
    let more = ["-p", "force=true", "-p", "approve=false"];
    let refused = test.windlass(&[&again, more.as_slice()].concat()).expect(1);
    let why = "reads the root of its CA only as it starts";
    refused.says(why);
}

#[test]
fn a_mistake_in_a_mesh_is_shown_with_its_line() {
    for (text, line, why) in [
        (
            r#"mesh = { istoi = "1.29" }"#,
            2,
            "unknown key `istoi`; did you mean `istio`?",
        ),
        (
            r#"mesh = { istio = 1.30 }"#,
            2,
            r#"expected a version in quotes, such as "1.29""#,
        ),
        (
            r#"mesh = { istio = "newest" }"#,
            2,
            "`newest` is not a version such as 1.29 or 1.29.2",
        ),
        (
            "\nmesh = { multi-root = false }",
            3,
            r#"expected "on" or "off""#,
        ),
        (r#"mesh = { mount = "0s" }"#, 2, "`mount` can't be zero"),
        (
            r#"mesh = "istio=1.29""#,
            2,
            r#"a table such as { istio = "1.29", multi-root = "on" }"#,
        ),
    ] {
        let test = Test::new().file("look.yaml", LOOK);
        test.write("windlass.toml", &format!("[targets.t]\n{text}\n"));
        let ran = test.windlass(&["run", "look.yaml", "--target", "t"]);
        let refused = ran.expect(2).stderr;
        assert!(
            refused.contains(&format!("line {line}, column")),
            "{refused}"
        );
        assert!(refused.contains(why), "{text}: {refused}");
    }
    for (target, text, why, hint) in [
        (
            "t",
            "kube = { mgmt = \"eks\" }\nmesh = { istio = \"1.29\" }",
            "windlass.toml:3: the target `t` has both `mesh` and `kube`",
            "remove one of them",
        ),
        (
            "\"../t\"",
            "mesh = {}",
            "windlass.toml:2: a target with `mesh` can't have the name \"../t\"",
            "a folder with this name",
        ),
    ] {
        let test = Test::new().file("look.yaml", LOOK);
        test.write("windlass.toml", &format!("[targets.{target}]\n{text}\n"));
        let ran = test.windlass(&["run", "look.yaml", "--target", "t"]);
        let refused = ran.expect(2).stderr;
        assert!(refused.contains(why) && refused.contains(hint), "{refused}");
    }
}
