//! TagCertificateAuthority, UntagCertificateAuthority and ListTags.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::page;
use crate::rule::status::Deed;
use crate::store::tag::{self, Tag};

/// AWS's limit of tags for an authority.
const MOST: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_arn: String,
    tags: Vec<Tag>,
}

/// Adds tags, or replaces their values.
pub(crate) fn tag(call: &Call) -> Result<Value, Failure> {
    change(call, |connection, authority, tags| {
        for tag in tags {
            tag::put(connection, authority, tag)?;
        }
        if tag::count(connection, authority)? > MOST {
            return Err(Code::TooManyTags.says(format!(
                "A certificate authority can have {MOST} tags at most"
            )));
        }
        Ok(())
    })
}

/// Removes tags. A tag that does not exist is not an error.
pub(crate) fn untag(call: &Call) -> Result<Value, Failure> {
    change(call, |connection, authority, tags| {
        for tag in tags {
            tag::remove(connection, authority, tag)?;
        }
        Ok(())
    })
}

fn change(
    call: &Call,
    make: impl FnOnce(&Connection, &str, &[Tag]) -> Result<(), Failure> + Send + 'static,
) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    check(&input.tags)?;
    let now = call.now;
    call.change(
        &input.certificate_authority_arn,
        move |connection, authority| {
            authority.check(Deed::Manage, now)?;
            make(connection, &authority.arn, &input.tags)
        },
    )?;
    Ok(json!({}))
}

/// Lists the tags, ordered by name.
pub(crate) fn list(call: &Call) -> Result<Value, Failure> {
    let position = |tag: &Tag| tag.key.clone();
    page::of_authority(call, ("Tags", MOST), tag::page, position, |_, tag| {
        shape(tag)
    })
}

/// Refuses a duplicate tag, and names that AWS reserves.
pub(crate) fn check(tags: &[Tag]) -> Result<(), Failure> {
    for (index, tag) in tags.iter().enumerate() {
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Code::InvalidTag.says(format!(
                "The tag key {} is reserved: aws: prefixed tag key names are not allowed for external use",
                tag.key
            )));
        }
        if tags[..index].iter().any(|other| other.key == tag.key) {
            return Err(
                Code::InvalidTag.says(format!("The tag key {} is specified twice", tag.key))
            );
        }
    }
    Ok(())
}

fn shape(tag: Tag) -> Value {
    let mut members = Map::from_iter([("Key".to_owned(), json!(tag.key))]);
    members.extend(tag.value.map(|value| ("Value".to_owned(), json!(value))));
    Value::Object(members)
}
