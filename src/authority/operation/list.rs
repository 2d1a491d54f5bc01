//! ListCertificateAuthorities.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::describe;
use crate::operation::page::{self, Paging};
use crate::rule::arn;
use crate::rule::policy::Policy;
use crate::store::authority::{self, Authority};
use crate::store::sharing;

/// The largest page that AWS returns, although `MaxResults` may be 1000.
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    resource_owner: Option<String>,
}

/// Lists the authorities of the caller in the region, or those that others share with the caller, the oldest first.
pub(crate) fn list(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let paging: Paging = call.read()?;
    let owner = input.resource_owner.as_deref().unwrap_or("SELF");
    let (authorities, next) = call.service.store.read(|connection| {
        let (count, after) = paging.start(call, connection, owner, MOST)?;
        let after = after.as_deref().map(position).transpose()?;
        let (account, region) = (&call.caller.account, &call.caller.region);
        let mut found = if owner == "SELF" {
            authority::page(connection, account, region, after, count + 1, call.now)?
        } else {
            shared(call, connection, after, count + 1)?
        };
        let next = page::cut(
            call,
            connection,
            owner,
            &mut found,
            count,
            |authority: &Authority| format!("{} {}", authority.created_at, authority.arn),
        )?;
        Ok((found, next))
    })?;
    let shapes = authorities
        .iter()
        .map(|authority| describe::shape(authority, call.now))
        .collect();
    Ok(page::answer("CertificateAuthorities", shapes, next))
}

/// Returns the authorities that other accounts share with the caller in the region. There are few policies, so all are read.
fn shared(
    call: &Call,
    connection: &Connection,
    after: Option<(Moment, String)>,
    count: usize,
) -> Result<Vec<Authority>, Failure> {
    let mut found = Vec::new();
    for (arn, document) in sharing::policies(connection)? {
        let of_region = arn::region(&arn) == call.caller.region;
        if !of_region || arn::account(&arn) == call.caller.account {
            continue;
        }
        if Policy::read(&document, &arn)?.names(&call.caller.account) {
            match authority::find(connection, &arn, call.now) {
                Ok(authority) => found.push(authority),
                // Its restoration period has ended, and it is removed soon.
                Err(failure) if failure.code == Code::ResourceNotFound => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    let age = |authority: &Authority| (authority.created_at, authority.arn.clone());
    found.sort_by_key(age);
    found.retain(|authority| after.as_ref().is_none_or(|after| age(authority) > *after));
    found.truncate(count);
    Ok(found)
}

fn position(text: &str) -> Result<(i64, String), Failure> {
    text.split_once(' ')
        .and_then(|(created, arn)| Some((created.parse().ok()?, arn.to_owned())))
        .ok_or_else(|| Code::InvalidNextToken.says("The token is not valid"))
}
