use serde_json::{Value as Json, json};

use super::{
    adopt::adopt,
    world::{World, owner_reference},
};
use crate::{
    object::{hash, name, namespace, number, uid},
    wire::Failure,
};

const RESOURCE: &str = "controllerrevisions.apps";

/// A present or earlier template of a StatefulSet or DaemonSet.
pub(super) struct Revision {
    pub name: String,
    pub hash: String,
    pub template: Json,
    number: i64,
}

/// Returns the revision of the workload's template, recorded if it is new, and all recorded revisions.
pub(super) fn current(
    world: &World,
    resource: &str,
    workload: &Json,
) -> Result<(Revision, Vec<Revision>), Failure> {
    let template = &workload["spec"]["template"];
    let hash = hash(template, 10);
    let own = format!("{}-{hash}", name(workload));
    adopt(world, RESOURCE, (resource, workload), |_| true)?;
    let recorded = world.tx.owned(RESOURCE, uid(workload))?;
    let mut all: Vec<_> = recorded.iter().map(read).collect();
    all.sort_by_key(|revision| revision.number);
    let highest = all.last().map_or(0, |last| last.number);
    let known = recorded.iter().find(|one| name(one) == own);
    let wanted = match known {
        Some(known) if number(known, "/revision") == Some(highest) => highest,
        _ => highest + 1,
    };
    let mut record = json!({
        "kind": "ControllerRevision",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": own,
            "namespace": namespace(workload),
            "labels": template["metadata"]["labels"],
            "annotations": workload["metadata"]["annotations"],
            "ownerReferences": [owner_reference(resource, workload)],
        },
        "data": { "spec": { "template": with_replace(template) } },
        "revision": wanted,
    });
    record["metadata"]["labels"]["controller-revision-hash"] = hash.as_str().into();
    match known {
        None => world.create(RESOURCE, &mut record)?,
        Some(known) if wanted != highest => {
            let mut again = known.clone();
            again["revision"] = wanted.into();
            world.tx.put(RESOURCE, &mut again)?;
        }
        Some(_) => {}
    }
    let kept = number(workload, "/spec/revisionHistoryLimit")
        .unwrap_or(10)
        .max(2);
    let kept = usize::try_from(kept).unwrap_or_default();
    let surplus = all.len().saturating_sub(kept);
    for old in all.iter().take(surplus).filter(|old| old.name != own) {
        if let Some(object) = recorded.iter().find(|one| name(one) == old.name) {
            world.tx.remove(RESOURCE, object)?;
        }
    }
    Ok((read(&record), all))
}

/// Returns a patch that restores the template, in the form that kubectl's undo expects.
fn with_replace(template: &Json) -> Json {
    let mut template = template.clone();
    template["$patch"] = "replace".into();
    template
}

fn read(record: &Json) -> Revision {
    let mut template = record["data"]["spec"]["template"].clone();
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    let label = &record["metadata"]["labels"]["controller-revision-hash"];
    Revision {
        name: name(record).to_owned(),
        hash: label.as_str().unwrap_or_default().to_owned(),
        template,
        number: number(record, "/revision").unwrap_or_default(),
    }
}
