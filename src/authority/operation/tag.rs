//! TagCertificateAuthority, UntagCertificateAuthority and ListTags.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::{Call, OfAuthority};
use crate::operation::page::{self, Paging};
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
    let input: Input = call.read()?;
    check(&input.tags)?;
    let now = call.now;
    call.change(
        &input.certificate_authority_arn,
        move |connection, authority| {
            authority.check(Deed::Manage, now)?;
            for tag in &input.tags {
                tag::put(connection, &authority.arn, tag)?;
            }
            if tag::count(connection, &authority.arn)? > MOST {
                return Err(Code::TooManyTags.says(format!(
                    "A certificate authority can have at most {MOST} tags"
                )));
            }
            Ok(())
        },
    )?;
    Ok(json!({}))
}

/// Removes tags. A tag that does not exist is not an error.
pub(crate) fn untag(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    check(&input.tags)?;
    let now = call.now;
    call.change(
        &input.certificate_authority_arn,
        move |connection, authority| {
            authority.check(Deed::Manage, now)?;
            for tag in &input.tags {
                tag::remove(connection, &authority.arn, tag)?;
            }
            Ok(())
        },
    )?;
    Ok(json!({}))
}

/// Lists the tags, ordered by name.
pub(crate) fn list(call: &Call) -> Result<Value, Failure> {
    let input: OfAuthority = call.read()?;
    let paging: Paging = call.read()?;
    let arn = &input.certificate_authority_arn;
    let (tags, next) = call.service.store.read(|connection| {
        let authority = call.authority(connection, arn)?;
        authority.check(Deed::Manage, call.now)?;
        let (count, after) = paging.start(call, connection, arn, MOST)?;
        let after = after.unwrap_or_default();
        let mut tags = tag::page(connection, arn, &after, count + 1)?;
        let next = page::cut(call, connection, arn, &mut tags, count, |tag: &Tag| {
            tag.key.clone()
        })?;
        Ok((tags, next))
    })?;
    let mut answer = json!({ "Tags": tags.into_iter().map(shape).collect::<Vec<_>>() });
    if let Some(token) = next {
        answer["NextToken"] = json!(token);
    }
    Ok(answer)
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
