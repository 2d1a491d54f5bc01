//! Steps that wait for each other, and the order of those that do not.

use std::collections::{BTreeSet, HashMap, VecDeque};

use petgraph::{Direction, algo, graph::DiGraph, visit::EdgeRef};

use super::{
    fields::Report,
    graph::{Edge, Step, StepIndex},
};

/// Reports every set of steps that wait for each other, with one complete cycle of each.
pub(super) fn check(report: &mut Report, graph: &DiGraph<Step, Edge>) {
    for component in algo::tarjan_scc(graph) {
        let Some(cycle) = cycle_in(graph, &component) else {
            continue;
        };
        let names: Vec<_> = cycle
            .iter()
            .map(|index| graph[*index].name.as_str())
            .collect();
        let message = format!(
            "steps depend on each other in a cycle: {}",
            names.join(" → ")
        );
        let mut mistake = report.at("cycle", graph[cycle[0]].span.clone(), message);
        for index in &cycle[1..cycle.len() - 1] {
            mistake = mistake.label(graph[*index].span.clone(), "and this one");
        }
        report.add(mistake.help("remove one of the references"));
    }
}

/// Returns one complete cycle of a strongly connected component, in the direction of the data flow, from its first
/// step in the file back to that step. `None` for a single step that does not read itself.
fn cycle_in(graph: &DiGraph<Step, Edge>, component: &[StepIndex]) -> Option<Vec<StepIndex>> {
    let start = *component.iter().min()?;
    if component.len() == 1 && graph.find_edge(start, start).is_none() {
        return None;
    }
    // The search is breadth-first, so the cycle is a shortest one.
    let mut came_from: HashMap<StepIndex, StepIndex> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(index) = queue.pop_front() {
        for edge in graph
            .edges(index)
            .filter(|edge| component.contains(&edge.target()))
        {
            if edge.target() == start {
                let mut path = vec![start, index];
                while *path.last()? != start {
                    path.push(*came_from.get(path.last()?)?);
                }
                path.reverse();
                if path.len() == 2 {
                    path = vec![start, start];
                } else {
                    path.push(start);
                    path.dedup();
                }
                return Some(path);
            }
            came_from.entry(edge.target()).or_insert_with(|| {
                queue.push_back(edge.target());
                index
            });
        }
    }
    None
}

/// Returns a topological order that follows the file where possible. `None` if there is a cycle.
pub(super) fn order(graph: &DiGraph<Step, Edge>) -> Option<Vec<StepIndex>> {
    let mut waiting: Vec<usize> = graph
        .node_indices()
        .map(|index| graph.neighbors_directed(index, Direction::Incoming).count())
        .collect();
    let mut ready: BTreeSet<StepIndex> = graph
        .node_indices()
        .filter(|index| waiting[index.index()] == 0)
        .collect();
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for target in graph.neighbors(index) {
            waiting[target.index()] -= 1;
            if waiting[target.index()] == 0 {
                ready.insert(target);
            }
        }
    }
    (order.len() == graph.node_count()).then_some(order)
}
