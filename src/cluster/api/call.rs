use std::sync::Arc;

use crate::{
    access::User,
    object::{Moment, now},
    resource::Resource,
    service::Service,
    wire::{Accept, Failure, Incoming, Query, Target, Verb},
};

/// A request that has been parsed and authorized.
pub(crate) struct Call<'a> {
    pub service: &'a Arc<Service>,
    pub incoming: &'a Incoming,
    pub user: User,
    pub resource: Resource,
    pub target: Target,
    pub verb: Verb,
    pub query: Query,
    pub accept: Accept,
}

impl Call<'_> {
    /// Returns the namespace in the path, or an empty string if there is none.
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    pub fn now(&self) -> Moment {
        now()
    }

    /// Returns whether the request must not be persisted.
    pub fn is_dry_run(&self) -> Result<bool, Failure> {
        match self.query.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Failure::bad_request(format!(
                "Invalid value: \"{other}\": dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ))),
        }
    }

    /// Returns the field manager: the `fieldManager` parameter, or the first word of the user agent.
    pub fn manager_name(&self) -> String {
        if let Some(name) = self.query.get("fieldManager") {
            return name.to_owned();
        }
        let agent = self.incoming.header("user-agent");
        let first = agent.split('/').next().unwrap_or_default();
        match first {
            "" => "unknown".into(),
            first => first.chars().take(128).collect(),
        }
    }
}
