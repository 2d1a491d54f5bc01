//! How many requests restarts and their waits send: no more than kubectl, and one watch for all of them.

use std::{collections::BTreeMap, fs};

use serde_json::json;

use crate::{cluster::served::Clusters, harness::Test};

const CLUSTER: &str = "c";
const LOG: &str = "requests.log";
/// Long enough that every wait has something to watch.
const SLOW: [&str; 2] = ["--pod-delay", "300ms"];

/// A cluster that logs its requests, with some workloads.
struct Lab {
    test: Test,
    served: Clusters,
}

impl Lab {
    fn new(workloads: usize) -> Self {
        let test = Test::with_shipped_workflows();
        let served = Clusters::serve_logged(&test, &[CLUSTER.to_owned()], &SLOW, LOG);
        let target = served.of_target();
        test.write("windlass.toml", &format!("[targets.t]\n{target}"));
        let all: Vec<_> = (0..workloads)
            .map(|n| {
                let app = json!({ "app": format!("a{n}") });
                json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                    "metadata": { "name": format!("a{n}"), "namespace": "default" },
                    "spec": { "replicas": 1, "selector": { "matchLabels": app }, "template": {
                        "metadata": { "labels": app },
                        "spec": { "containers": [{ "name": "main", "image": "pause" }] } } } })
            })
            .collect();
        test.write(
            "apps.json",
            &json!({ "apiVersion": "v1", "kind": "List", "items": all }).to_string(),
        );
        let path = test.path("apps.json").display().to_string();
        let lab = Self { test, served };
        lab.kubectl(&["create", "-f", &path]);
        lab.kubectl(&["wait", "--for=condition=Available", "deployment", "--all"]);
        lab
    }

    fn kubectl(&self, arguments: &[&str]) {
        self.served
            .kubectl(&self.test, CLUSTER, arguments)
            .expect(0);
    }

    /// The requests since the log had this length, by verb and kind.
    fn requests(&self, from: usize) -> BTreeMap<String, usize> {
        let log = self.log();
        let mut found = BTreeMap::new();
        for line in log[from..].lines() {
            let route = line
                .split("route=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            *found
                .entry(route.unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        found
    }

    fn log(&self) -> String {
        fs::read_to_string(self.test.path(LOG)).expect("a log")
    }
}

#[test]
fn the_waits_of_a_namespace_share_a_watch_and_send_no_more_than_kubectl() {
    const WORKLOADS: usize = 5;
    let lab = Lab::new(WORKLOADS);
    lab.test.write(
        "w.yaml",
        "workflow: w\nkube: [c]\nsteps:\n  s:\n    script: workflows/steps/restart.rhai\n    with: { cluster: c, namespace: default }\n",
    );
    let before = lab.log().len();
    let run = ["run", "w.yaml", "--target", "t", "--no-dry-run"];
    lab.test.windlass(&run).expect(0);
    let ours = lab.requests(before);
    let before = lab.log().len();
    for n in 0..WORKLOADS {
        let workload = format!("deployment/a{n}");
        lab.kubectl(&["rollout", "restart", &workload]);
        lab.kubectl(&["rollout", "status", &workload]);
    }
    let theirs = lab.requests(before);
    let of = |requests: &BTreeMap<String, usize>, route: &str| {
        requests.get(route).copied().unwrap_or_default()
    };
    assert_eq!(of(&ours, "patch deployments"), WORKLOADS, "{ours:?}");
    assert_eq!(of(&theirs, "patch deployments"), WORKLOADS, "{theirs:?}");
    assert_eq!(of(&theirs, "watch deployments"), WORKLOADS, "{theirs:?}");
    assert_eq!(of(&ours, "watch deployments"), 1, "{ours:?}");
    // One for each restart, and one for the wait that opens the watch; the others know what their restart has stored.
    assert_eq!(of(&ours, "get deployments"), WORKLOADS + 1, "{ours:?}");
    let about_workloads = |requests: &BTreeMap<String, usize>| -> usize {
        let kinds = ["deployments", "pods"];
        let routes = requests
            .iter()
            .filter(|(route, _)| kinds.iter().any(|kind| route.ends_with(kind)));
        routes.map(|(_, count)| count).sum()
    };
    assert!(
        about_workloads(&ours) <= about_workloads(&theirs),
        "{ours:?}\n{theirs:?}"
    );
}

#[test]
fn a_proof_of_many_reads_their_namespace_once_and_names_the_one_that_is_not_done() {
    const WORKLOADS: usize = 5;
    let lab = Lab::new(WORKLOADS);
    lab.test.write(
        "w.yaml",
        r#"workflow: w
kube: [c]
steps:
  restart:
    run: |
      let moments = kube::workloads("c", "default", ()).map(|one| #{
          namespace: one.namespace,
          workload: one.workload,
          restarted: kube::restart("c", one.namespace, one.workload),
      });
      #{ moments: moments }
  whole:
    needs: [restart]
    run: kube::wait_rollouts("c", kube::workloads("c", "default", ()), "30s"); #{}
  prove:
    needs: [whole]
    with: { moments: "${{ steps.restart.moments }}" }
    run: kube::wait_rollouts("c", inputs.moments, "1s"); #{}
"#,
    );
    let run = ["run", "w.yaml", "--target", "t", "--no-dry-run"];
    lab.test.windlass(&run).expect(0);
    let before = lab.log().len();
    let again = ["resume", "--redo", "prove", "--yes"];
    lab.test.windlass(&again).expect(0);
    let asked = lab.requests(before);
    let about = |kind: &str| -> usize {
        let routes = asked.iter().filter(|(route, _)| route.ends_with(kind));
        routes.map(|(_, count)| count).sum()
    };
    assert_eq!((about("deployments"), about("pods")), (1, 1), "{asked:?}");

    lab.kubectl(&["rollout", "restart", "deployment/a3"]);
    lab.kubectl(&["rollout", "status", "deployment/a3"]);
    let ran = lab.test.windlass(&again).expect(1);
    ran.says("wait for deployment/a3");
    ran.says("was replaced");
}
