//! A request that an operation carries out.

use std::sync::Arc;

use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::rule::arn;
use crate::rule::policy::Policy;
use crate::service::Service;
use crate::store::authority::{self, Authority};
use crate::store::certificate::Issued;
use crate::store::sharing;

/// The account and region of the caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub account: String,
    pub region: String,
}

/// A request, with everything that an operation needs.
pub(crate) struct Call<'a> {
    pub service: &'a Arc<Service>,
    pub operation: &'static str,
    pub caller: Caller,
    pub input: Value,
    pub now: Moment,
    /// Whether a fault lets the request fail after the response.
    pub fails_later: bool,
}

/// An input that contains only an authority's ARN.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OfAuthority {
    pub certificate_authority_arn: String,
}

impl Call<'_> {
    /// Reads the input as the operation's own type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        // The model has been checked, so this fails only if a type here is stricter than the model.
        T::deserialize(&self.input).map_err(|error| Code::Serialization.says(error.to_string()))
    }

    /// Reads the authority with an ARN, if the caller is allowed to use it for this operation.
    pub fn authority(&self, connection: &Connection, arn: &str) -> Result<Authority, Failure> {
        find(connection, arn, &self.asked())
    }

    /// The same where it is read often, with a guard that tells whether the decision still holds. For a transaction that only reads.
    pub fn guarded(
        &self,
        connection: &Connection,
        arn: &str,
    ) -> Result<(Arc<Authority>, Guard), Failure> {
        arn::check_authority(arn)?;
        let (authority, revision) = self.service.authority(connection, arn, self.now)?;
        let asked = self.asked();
        check(connection, &authority, &asked)?;
        let guard = Guard {
            arn: arn.to_owned(),
            asked,
            revision,
        };
        Ok((authority, guard))
    }

    /// Reads the authority in the input, in a separate transaction.
    pub fn named_authority(&self) -> Result<Authority, Failure> {
        let input: OfAuthority = self.read()?;
        let arn = input.certificate_authority_arn;
        self.service
            .store
            .read(|connection| self.authority(connection, &arn))
    }

    /// Changes the authority with an ARN in one transaction. `change` receives the authority as it is in that transaction.
    pub fn change<T: Send + 'static>(
        &self,
        arn: &str,
        change: impl FnOnce(&Connection, Authority) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (arn, asked) = (arn.to_owned(), self.asked());
        self.service.store.write(move |connection| {
            let authority = find(connection, &arn, &asked)?;
            change(connection, authority)
        })
    }

    fn asked(&self) -> Asked {
        let template = self.input.get("TemplateArn").and_then(Value::as_str);
        let partition = arn::partition(&self.caller.region);
        let default = format!("arn:{partition}:acm-pca:::template/EndEntityCertificate/V1");
        Asked {
            action: format!("acm-pca:{}", self.operation),
            template: template.map_or(default, str::to_owned),
            caller: self.caller.clone(),
            now: self.now,
        }
    }
}

/// What decides whether a caller may use an authority.
struct Asked {
    action: String,
    template: String,
    caller: Caller,
    now: Moment,
}

/// A decision about an authority, which holds as long as no authority changes.
pub(crate) struct Guard {
    arn: String,
    asked: Asked,
    revision: i64,
}

impl Guard {
    /// The authority as it is now, if any has changed since, and if the caller may still do this with it.
    pub fn changed(&self, connection: &Connection) -> Result<Option<Authority>, Failure> {
        if authority::revision(connection)? == self.revision {
            return Ok(None);
        }
        find(connection, &self.arn, &self.asked).map(Some)
    }

    /// What the authority has issued so far.
    pub fn issued(&self, service: &Service, connection: &Connection) -> Result<Issued, Failure> {
        service.issued(connection, &self.arn, self.revision)
    }
}

fn find(connection: &Connection, arn: &str, asked: &Asked) -> Result<Authority, Failure> {
    arn::check_authority(arn)?;
    let authority = authority::find(connection, arn, asked.now)?;
    check(connection, &authority, asked)?;
    Ok(authority)
}

fn check(connection: &Connection, authority: &Authority, asked: &Asked) -> Result<(), Failure> {
    let (arn, caller) = (&authority.arn, &asked.caller);
    if authority.region != caller.region {
        return Err(Code::ResourceNotFound.says(format!(
            "Could not find certificate authority {arn} in {}",
            caller.region
        )));
    }
    if authority.account == caller.account || is_shared(connection, arn, asked)? {
        return Ok(());
    }
    Err(Code::AccessDenied.says(format!(
        "User: arn:{}:iam::{}:root is not authorized to perform: {} on resource: {arn} \
         because no resource-based policy allows the {} action",
        arn::partition(&caller.region),
        caller.account,
        asked.action,
        asked.action,
    )))
}

fn is_shared(connection: &Connection, arn: &str, asked: &Asked) -> Result<bool, Failure> {
    let Some(document) = sharing::policy(connection, arn)? else {
        return Ok(false);
    };
    let policy = Policy::read(&document, arn)?;
    Ok(policy.allows(&asked.caller.account, &asked.action, &asked.template))
}
