//! XML in the form of AWS's protocols.

use roxmltree::Node;

use super::{
    model::{Format, Kind, Member, Place, Service, Shape},
    read::{assembled, sealed},
    timestamp,
    write::text_of,
};
use crate::value::{Bytes, Value};

/// Writes an element.
pub fn write(service: &Service, name: &str, member: &Member, value: &Value) -> String {
    let mut text = String::new();
    element(service, name, member, value, &mut text);
    text
}

fn element(service: &Service, name: &str, member: &Member, value: &Value, out: &mut String) {
    let mut attributes = String::new();
    if let Some(xmlns) = &member.xmlns {
        let prefix = member.prefix.as_ref().map(|prefix| format!(":{prefix}"));
        attributes.push_str(&format!(
            " xmlns{}=\"{}\"",
            prefix.unwrap_or_default(),
            escaped(xmlns)
        ));
    }
    let mut content = String::new();
    match (service.shape_of(member), value) {
        (Some(Shape::Structure { members, .. }), Value::Map(given)) => {
            for (key, item) in given.iter().filter(|(_, item)| **item != Value::Null) {
                let Some(inner) = members.get(key) else {
                    continue;
                };
                let wire = inner.wire(key);
                match (inner.is_attribute, service.shape_of(inner), item) {
                    (true, ..) => {
                        let said = escaped(&text_of(inner, item, Format::Iso8601));
                        attributes.push_str(&format!(" {wire}=\"{said}\""));
                    }
                    (false, Some(Shape::List { item: one }), Value::List(items))
                        if inner.is_flat =>
                    {
                        for value in items {
                            element(service, wire, one, value, &mut content);
                        }
                    }
                    _ => element(service, wire, inner, item, &mut content),
                }
            }
        }
        (Some(Shape::List { item }), Value::List(items)) => {
            for one in items {
                element(service, item.wire("member"), item, one, &mut content);
            }
        }
        (Some(Shape::Map { key, value: item }), Value::Map(map)) => {
            for (name, one) in map {
                content.push_str("<entry>");
                element(
                    service,
                    key.wire("key"),
                    key,
                    &name.as_str().into(),
                    &mut content,
                );
                element(service, item.wire("value"), item, one, &mut content);
                content.push_str("</entry>");
            }
        }
        (_, value) => content.push_str(&escaped(&text_of(member, value, Format::Iso8601))),
    }
    out.push_str(&format!("<{name}{attributes}>{content}</{name}>"));
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A reader would turn it into a line break.
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out
}

/// Reads the members of a structure that are in the body.
pub fn structure(service: &Service, shape: &Shape, node: Node) -> Value {
    let Shape::Structure { members, .. } = shape else {
        return Value::Null;
    };
    let mut found = Vec::new();
    for (key, member) in members {
        if member.place != Place::Body {
            continue;
        }
        let wire = match service.shape_of(member) {
            Some(Shape::List { item }) if member.is_flat => {
                item.name.as_deref().unwrap_or_else(|| member.wire(key))
            }
            _ => member.wire(key),
        };
        if member.is_attribute {
            let local = wire.rsplit(':').next().unwrap_or(wire);
            let attribute = node.attributes().find(|found| found.name() == local);
            if let Some(attribute) = attribute {
                found.push((key.as_str(), member, scalar(member, attribute.value())));
            }
            continue;
        }
        let elements: Vec<_> = named(node, wire).collect();
        if let Some(value) = of_elements(service, member, &elements) {
            found.push((key.as_str(), member, value));
        }
    }
    assembled(service, found)
}

fn named<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// Returns the value of a member from these elements; there are several only for a flat list or map.
fn of_elements(service: &Service, member: &Member, elements: &[Node]) -> Option<Value> {
    let first = elements.first()?;
    Some(match service.shape_of(member) {
        Some(Shape::List { item }) => {
            let items: Vec<Node> = if member.is_flat {
                elements.to_vec()
            } else {
                named(*first, item.wire("member")).collect()
            };
            let items = items
                .iter()
                .filter_map(|one| of_elements(service, item, &[*one]));
            Value::List(items.map(|one| sealed(item, one)).collect())
        }
        Some(Shape::Map { key, value }) => {
            let entries: Vec<Node> = if member.is_flat {
                elements.to_vec()
            } else {
                named(*first, "entry").collect()
            };
            Value::map(entries.iter().filter_map(|entry| {
                let name = named(*entry, key.wire("key")).next()?;
                let held: Vec<_> = named(*entry, value.wire("value")).collect();
                let held = sealed(value, of_elements(service, value, &held)?);
                Some((name.text().unwrap_or_default().to_owned(), held))
            }))
        }
        Some(shape @ Shape::Structure { .. }) => structure(service, shape, *first),
        None => scalar(member, &text(*first)),
    })
}

/// Returns all text directly in an element.
pub fn text(node: Node) -> String {
    node.children()
        .filter(|child| child.is_text())
        .filter_map(|child| child.text())
        .collect()
}

/// Reads a scalar from a text.
pub fn scalar(member: &Member, text: &str) -> Value {
    let parsed = match &member.kind {
        Kind::Int => text.trim().parse().ok().map(Value::Int),
        Kind::Float => text.trim().parse().ok().map(Value::Float),
        Kind::Bool => text.trim().parse().ok().map(Value::Bool),
        Kind::Bytes => Bytes::from_base64(text.trim()).map(Value::Bytes),
        Kind::Time => timestamp::parse(text).map(|read| timestamp::show(read).into()),
        Kind::Text | Kind::Shape(_) => None,
    };
    parsed.unwrap_or_else(|| text.into())
}
