use std::collections::BTreeMap;

use super::{
    id::InstanceId,
    instance::{Instance, Status},
};

/// The instances of a `for_each` step's items, in the order of the items.
#[derive(Clone, Debug, Default)]
pub struct Items {
    ids: Vec<InstanceId>,
    /// The positions in `ids`, sorted by id.
    sorted: Vec<usize>,
}

impl Items {
    pub(super) fn new(ids: Vec<InstanceId>) -> Self {
        let mut sorted: Vec<_> = (0..ids.len()).collect();
        sorted.sort_unstable_by(|a, b| ids[*a].cmp(&ids[*b]));
        Self { ids, sorted }
    }

    pub fn ids(&self) -> &[InstanceId] {
        &self.ids
    }

    /// Returns the position of the item with this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        let found = self
            .sorted
            .binary_search_by(|at| self.ids[*at].as_str().cmp(id));
        found.ok().map(|found| self.sorted[found])
    }

    /// Returns the status of each item, in one pass over the run's steps: searching for each of a thousand items after each one
    /// that ends would take most of a driver's time.
    pub fn statuses(&self, steps: &BTreeMap<InstanceId, Instance>) -> Vec<Status> {
        let mut statuses = vec![Status::Pending; self.ids.len()];
        let Some(first) = self.sorted.first() else {
            return statuses;
        };
        let mut found = steps.range::<InstanceId, _>(&self.ids[*first]..).peekable();
        for position in &self.sorted {
            let id = &self.ids[*position];
            while found.next_if(|(other, _)| *other < id).is_some() {}
            if let Some((other, instance)) = found.peek()
                && *other == id
            {
                statuses[*position] = instance.status;
            }
        }
        statuses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_a_search_finds() {
        let outer = InstanceId::step(None, "all");
        let keys = ["b", "a", "10", "1", "é", "a/b", "z"];
        let ids: Vec<_> = keys.iter().map(|key| outer.item(key)).collect();
        let mut steps = BTreeMap::new();
        let mut add = |id: &InstanceId, status| {
            let instance = Instance {
                status,
                ..Instance::default()
            };
            steps.insert(id.clone(), instance);
        };
        add(&outer, Status::Running);
        add(&InstanceId::step(None, "zz"), Status::Failed);
        for (n, id) in ids.iter().enumerate().skip(1) {
            let status = [Status::Succeeded, Status::Running, Status::Failed][n % 3];
            add(id, status);
            add(&InstanceId::step(Some(id), "inner"), Status::Skipped);
        }
        let searched: Vec<_> = ids
            .iter()
            .map(|id| steps.get(id).map_or(Status::Pending, |i| i.status))
            .collect();
        let items = Items::new(ids.clone());
        assert_eq!(items.statuses(&steps), searched);
        for (position, id) in ids.iter().enumerate() {
            assert_eq!(items.position(id.as_str()), Some(position));
        }
        assert_eq!(items.position("all[none]"), None);
        assert_eq!(searched[0], Status::Pending);
    }
}
