//! Chooses what the graph of a workflow shows: all steps if there are few, otherwise groups of steps, which open one by one.
//!
//! Steps that are side by side or in a row become one card, then steps of the same layer. The groups depend on the workflow alone, not on
//! the state of a run, so that an event changes a colour but never a place.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use windlass_compile::{Edge, Workflow};

/// The largest number of steps that are drawn without groups. A browser draws about 500 elements quickly, and a step has 7 to 12.
const PLAIN: usize = 48;
/// The largest number of cards in a picture with groups. A group has more elements than a step.
const FOLDED: usize = 36;
/// The largest number of cards side by side. With more, they would be too small to read, or too far apart.
const ACROSS: usize = 5;
/// The largest number of steps in the neighbourhood of a step, and their largest distance from it.
const NEAR: usize = 30;
const STEPS_AWAY: usize = 2;

/// The dependencies between the steps of a workflow, by the steps' numbers.
pub struct Web {
    before: Vec<Vec<(usize, Edge)>>,
    after: Vec<Vec<usize>>,
    /// The length of the longest path to each step.
    layer: Vec<usize>,
    /// Which steps are under `finally`, and so come after all others.
    is_last: Vec<bool>,
}

/// The part of a graph that is drawn.
pub struct Picture {
    pub cards: Vec<Card>,
    /// For each card, the cards on which it depends.
    pub before: Vec<Vec<(usize, Edge)>>,
    pub is_last: Vec<bool>,
    /// The groups that are open, outermost first.
    pub opened: Vec<usize>,
    /// The number of steps that it shows, including those in groups.
    pub shown: usize,
}

/// A step, or a group of steps.
pub struct Card {
    pub members: Vec<usize>,
    /// The number that opens it, if it is a group.
    pub number: usize,
}

impl Web {
    pub fn of(workflow: &Workflow) -> Self {
        let steps: Vec<_> = workflow.steps().collect();
        let number: BTreeMap<&str, usize> = steps
            .iter()
            .enumerate()
            .map(|(at, (_, step))| (step.name.as_str(), at))
            .collect();
        let count = steps.len();
        let mut web = Self {
            before: vec![Vec::new(); count],
            after: vec![Vec::new(); count],
            layer: vec![0; count],
            is_last: steps.iter().map(|(_, step)| step.is_finally).collect(),
        };
        // `steps()` returns each step after those on which it depends.
        for (at, (index, _)) in steps.iter().enumerate() {
            for (other, edge) in workflow.dependencies(*index) {
                if let Some(other) = number.get(other.name.as_str()) {
                    web.before[at].push((*other, edge));
                    web.layer[at] = web.layer[at].max(web.layer[*other] + 1);
                }
            }
            web.before[at].sort_by_key(|(other, _)| *other);
            web.before[at].dedup_by_key(|(other, _)| *other);
            for (other, _) in &web.before[at] {
                web.after[*other].push(at);
            }
        }
        web
    }

    fn len(&self) -> usize {
        self.before.len()
    }

    /// Returns whether there are too many steps to draw each of them.
    pub fn is_folded(&self) -> bool {
        self.len() > PLAIN
    }

    /// Returns the picture with some groups opened. Each number refers to a group in the picture before it. From the first number that is not
    /// a group, the rest is ignored: the workflow has changed since the address was made.
    pub fn picture(&self, open: &[usize]) -> Picture {
        let mut members: Vec<usize> = (0..self.len()).collect();
        let (mut parts, mut opened) = (self.fold(&members), Vec::new());
        for number in open {
            let Some(part) = parts.get(*number).filter(|part| part.len() > 1) else {
                break;
            };
            members.clone_from(part);
            opened.push(*number);
            parts = self.fold(&members);
        }
        self.drawn(parts, opened)
    }

    /// Returns the picture of a step and its neighbourhood.
    pub fn near(&self, step: usize) -> Picture {
        let mut found = BTreeSet::from([step]);
        let mut ahead = VecDeque::from([(step, 0)]);
        while let Some((at, away)) = ahead.pop_front() {
            if away == STEPS_AWAY {
                continue;
            }
            let before = self.before[at].iter().map(|(other, _)| *other);
            for other in before.chain(self.after[at].iter().copied()) {
                if found.len() < NEAR && found.insert(other) {
                    ahead.push_back((other, away + 1));
                }
            }
        }
        let parts = found.into_iter().map(|step| vec![step]).collect();
        self.drawn(parts, Vec::new())
    }

    fn drawn(&self, parts: Vec<Vec<usize>>, opened: Vec<usize>) -> Picture {
        let part_of = part_of(&parts);
        let mut before: Vec<BTreeMap<usize, Edge>> = vec![BTreeMap::new(); parts.len()];
        for (at, part) in parts.iter().enumerate() {
            let edges = part.iter().flat_map(|member| &self.before[*member]);
            for (other, edge) in edges {
                if let Some(from) = part_of.get(other).filter(|from| **from != at) {
                    let known = before[at].entry(*from).or_insert(*edge);
                    if *edge != Edge::Order {
                        *known = *edge;
                    }
                }
            }
        }
        // Each card is drawn after the cards on which it depends.
        let order = order(&before);
        let mut place = vec![0; parts.len()];
        for (to, from) in order.iter().enumerate() {
            place[*from] = to;
        }
        let edges = |from: &usize| {
            let mut edges: Vec<_> = before[*from]
                .iter()
                .map(|(other, edge)| (place[*other], *edge))
                .collect();
            edges.sort_by_key(|(other, _)| *other);
            edges
        };
        Picture {
            before: order.iter().map(edges).collect(),
            is_last: order
                .iter()
                .map(|from| parts[*from].iter().all(|member| self.is_last[*member]))
                .collect(),
            shown: parts.iter().map(Vec::len).sum(),
            cards: order
                .iter()
                .map(|from| Card {
                    members: parts[*from].clone(),
                    number: *from,
                })
                .collect(),
            opened,
        }
    }

    /// Divides steps into at most as many parts as can be drawn.
    fn fold(&self, members: &[usize]) -> Vec<Vec<usize>> {
        let mut parts: Vec<Vec<usize>> = members.iter().map(|member| vec![*member]).collect();
        if parts.len() <= PLAIN {
            return parts;
        }
        while parts.len() > FOLDED {
            let quotient = self.quotient(&parts);
            let mut classes = self.side_by_side(&parts, &quotient);
            if classes.is_empty() {
                classes = in_a_row(&quotient);
            }
            let is_all = classes
                .first()
                .is_some_and(|class| class.len() == parts.len());
            if classes.is_empty() || is_all {
                return self.by_layer(parts);
            }
            let before = parts.len();
            parts = merge(parts, classes);
            // Little progress means that the graph has no clear structure, so it is divided by layers.
            if parts.len() > FOLDED && parts.len() * 10 > before * 9 {
                return self.by_layer(parts);
            }
        }
        parts
    }

    /// Returns, for each part, the parts before it and the parts after it.
    fn quotient(&self, parts: &[Vec<usize>]) -> Vec<(BTreeSet<usize>, BTreeSet<usize>)> {
        let part_of = part_of(parts);
        let mut found = vec![(BTreeSet::new(), BTreeSet::new()); parts.len()];
        for (at, part) in parts.iter().enumerate() {
            for (other, _) in part.iter().flat_map(|member| &self.before[*member]) {
                if let Some(from) = part_of.get(other).filter(|from| **from != at) {
                    found[at].0.insert(*from);
                    found[*from].1.insert(at);
                }
            }
        }
        found
    }

    /// Returns groups of parts with the same parts before and after them, the largest group first.
    fn side_by_side(
        &self,
        parts: &[Vec<usize>],
        quotient: &[(BTreeSet<usize>, BTreeSet<usize>)],
    ) -> Vec<Vec<usize>> {
        let mut classes: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, around) in quotient.iter().enumerate() {
            let is_last = self.is_last[parts[at][0]];
            classes.entry((is_last, around)).or_default().push(at);
        }
        largest(classes.into_values())
    }

    /// Divides each layer into a number of parts in proportion to its size.
    fn by_layer(&self, parts: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        let count = parts.len();
        let mut layers: BTreeMap<(bool, usize), Vec<Vec<usize>>> = BTreeMap::new();
        for part in parts {
            let first = part.iter().map(|member| self.layer[*member]).min();
            let layer = (self.is_last[part[0]], first.unwrap_or_default());
            layers.entry(layer).or_default().push(part);
        }
        let depth = layers.len();
        if depth > FOLDED {
            // With more layers than cards, a card has several layers.
            let all: Vec<_> = layers.into_values().flatten().collect();
            return chunks(all, FOLDED);
        }
        let cards = |size: usize| 1 + (FOLDED - depth) * size / count;
        let divided = layers.into_values().flat_map(|layer| {
            let size = layer.len();
            chunks(layer, cards(size).min(size).min(ACROSS))
        });
        divided.collect()
    }
}

/// Joins consecutive parts, so that `count` parts remain.
fn chunks(parts: Vec<Vec<usize>>, count: usize) -> Vec<Vec<usize>> {
    let size = parts.len().div_ceil(count.max(1)).max(1);
    parts.chunks(size).map(<[_]>::concat).collect()
}

/// Returns rows of parts in which each is the only one after the previous part, the longest row first.
fn in_a_row(quotient: &[(BTreeSet<usize>, BTreeSet<usize>)]) -> Vec<Vec<usize>> {
    let only = |all: &BTreeSet<usize>| all.first().copied().filter(|_| all.len() == 1);
    let next =
        |at: usize| only(&quotient[at].1).filter(|next| only(&quotient[*next].0) == Some(at));
    let begins = |at: &usize| {
        let previous = only(&quotient[*at].0);
        previous.is_none_or(|previous| next(previous) != Some(*at))
    };
    let rows = (0..quotient.len())
        .filter(begins)
        .map(|first| std::iter::successors(Some(first), |at| next(*at)).collect());
    largest(rows)
}

/// Returns the classes with more than one member, the largest first.
fn largest(classes: impl Iterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut classes: Vec<_> = classes.filter(|class| class.len() > 1).collect();
    classes.sort_by_key(|class| (std::cmp::Reverse(class.len()), class[0]));
    classes
}

/// Joins each class to one part, until few enough parts remain.
fn merge(parts: Vec<Vec<usize>>, classes: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let (mut left, mut size) = (parts.len(), 0);
    let mut gone = BTreeSet::new();
    let mut merged = Vec::new();
    for class in classes {
        // Classes of the same size are all joined, or none of them.
        if left <= FOLDED && class.len() < size {
            break;
        }
        size = class.len();
        // Single steps side by side become one card; rows of steps become up to `ACROSS` cards.
        let is_plain = class.iter().all(|at| parts[*at].len() == 1);
        let count = if is_plain || class.len() <= ACROSS {
            1
        } else {
            ACROSS
        };
        let members = class.iter().map(|at| parts[*at].clone()).collect();
        let groups = chunks(members, count);
        left -= class.len() - groups.len();
        merged.extend(groups);
        gone.extend(class);
    }
    let kept = parts.into_iter().enumerate();
    let kept = kept.filter(|(at, _)| !gone.contains(at));
    let mut all: Vec<_> = kept.map(|(_, part)| part).chain(merged).collect();
    all.sort_by_key(|part| part[0]);
    all
}

fn part_of(parts: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    let pairs = parts.iter().enumerate();
    pairs
        .flat_map(|(at, part)| part.iter().map(move |member| (*member, at)))
        .collect()
}

/// Returns an order in which each part comes after those on which it depends, as close to the given order as possible.
fn order(before: &[BTreeMap<usize, Edge>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(before.len());
    let mut is_placed = vec![false; before.len()];
    while order.len() < before.len() {
        let is_free =
            |at: &usize| !is_placed[*at] && before[*at].keys().all(|other| is_placed[*other]);
        // The parts of a graph without cycles have no cycle. If there were one, its first part would come first.
        let free = (0..before.len()).find(is_free);
        let next = free.or_else(|| is_placed.iter().position(|is| !is));
        let Some(next) = next else {
            break;
        };
        is_placed[next] = true;
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use windlass_compile::{Frozen, compile};

    /// Returns the dependencies of steps `s0`, `s1`, …, each after those in `needs`.
    fn web(count: usize, needs: impl Fn(usize) -> Vec<usize>) -> Web {
        let mut text = String::from("workflow: w\nsteps:\n");
        for at in 0..count {
            let needs: Vec<_> = needs(at).iter().map(|n| format!("s{n}")).collect();
            let _ = writeln!(
                text,
                "  s{at}: {{ run: \"1\", needs: [{}] }}",
                needs.join(", ")
            );
        }
        let files = [("w.yaml".to_owned(), text.into())];
        let program = compile("w.yaml", &mut Frozen(files.into_iter().collect()));
        Web::of(&program.expect("it compiles").workflow)
    }

    /// Opens every group, and returns the steps that are drawn as themselves.
    fn explored(web: &Web) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut ahead = vec![Vec::new()];
        while let Some(open) = ahead.pop() {
            let picture = web.picture(&open);
            assert_eq!(picture.opened, open);
            assert!(picture.cards.len() <= PLAIN, "{}", picture.cards.len());
            for (at, before) in picture.before.iter().enumerate() {
                assert!(before.iter().all(|(other, _)| *other < at), "{before:?}");
            }
            let parts = web.fold_of(&open);
            for (number, part) in parts.iter().enumerate() {
                match part.as_slice() {
                    [one] => assert!(found.insert(*one), "{one} is drawn twice"),
                    _ => ahead.push([&open[..], &[number]].concat()),
                }
            }
            assert!(open.len() < 6, "groups within groups without end");
        }
        found
    }

    impl Web {
        fn fold_of(&self, open: &[usize]) -> Vec<Vec<usize>> {
            let mut parts = self.fold(&(0..self.len()).collect::<Vec<_>>());
            for number in open {
                parts = self.fold(&parts[*number]);
            }
            parts
        }
    }

    #[test]
    fn every_step_is_found_by_opening_groups_and_no_picture_is_large() {
        type Shape<'a> = (&'a str, usize, &'a dyn Fn(usize) -> Vec<usize>);
        let shapes: [Shape; 6] = [
            ("few", 48, &|at| {
                (at > 0).then(|| at - 1).into_iter().collect()
            }),
            ("a chain", 200, &|at| {
                (at > 0).then(|| at - 1).into_iter().collect()
            }),
            ("a fan", 200, &|at| match at {
                0 => vec![],
                199 => (1..199).collect(),
                _ => vec![0],
            }),
            ("fifty chains", 502, &|at| match at {
                0 => vec![],
                501 => (451..501).collect(),
                at if at <= 50 => vec![0],
                at => vec![at - 50],
            }),
            ("nothing in common", 400, &|_| vec![]),
            ("a tangle", 200, &|at| {
                (1..5)
                    .filter(|by| by * by * 3 <= at)
                    .map(|by| at - by * by * 3)
                    .collect()
            }),
        ];
        for (name, count, needs) in shapes {
            let web = web(count, needs);
            let began = std::time::Instant::now();
            assert_eq!(explored(&web).len(), count, "{name}");
            // The limit is for an unoptimised build on a busy machine.
            assert!(
                began.elapsed().as_secs() < 5,
                "{name}: {:?}",
                began.elapsed()
            );
        }
    }

    #[test]
    fn steps_side_by_side_are_one_card() {
        let web = web(100, |at| match at {
            0 => vec![],
            99 => (1..99).collect(),
            _ => vec![0],
        });
        let picture = web.picture(&[]);
        let sizes: Vec<_> = picture
            .cards
            .iter()
            .map(|card| card.members.len())
            .collect();
        assert_eq!(sizes, [1, 98, 1]);
        // Numbers that are not groups are ignored.
        assert_eq!(web.picture(&[7, 3]).opened, [0; 0]);
    }

    #[test]
    fn rows_of_steps_are_a_few_cards() {
        let web = web(502, |at| match at {
            0 => vec![],
            501 => (451..501).collect(),
            at if at <= 50 => vec![0],
            at => vec![at - 50],
        });
        let picture = web.picture(&[]);
        let sizes: Vec<_> = picture
            .cards
            .iter()
            .map(|card| card.members.len())
            .collect();
        assert_eq!(sizes, [1, 100, 100, 100, 100, 100, 1]);
    }

    #[test]
    fn the_neighbourhood_of_a_step_is_small() {
        let web = web(500, |at| match at {
            0 => vec![],
            499 => (1..499).collect(),
            _ => vec![0],
        });
        let picture = web.near(250);
        assert_eq!(picture.cards.len(), NEAR);
        assert!(picture.cards.iter().any(|card| card.members == [250]));
    }
}
