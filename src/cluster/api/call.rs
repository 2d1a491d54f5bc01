use std::sync::Arc;

use crate::{
    access::User,
    object::{Moment, now},
    resource::Resource,
    service::Service,
    wire::{Accept, Failure, Incoming, Query, Target, Verb},
};

/// One request, understood and allowed.
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
    /// The namespace that the path names; empty for none.
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    pub fn now(&self) -> Moment {
        now()
    }

    /// Whether to do everything but keep it.
    pub fn is_dry_run(&self) -> Result<bool, Failure> {
        match self.query.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Failure::bad_request(format!(
                "Invalid value: \"{other}\": dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ))),
        }
    }

    /// Who changes the object: as they say, or the first word of their user agent.
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
