use super::jwt;
use crate::{
    object::now,
    service::Service,
    wire::{Failure, Incoming},
};

/// The user who sends a request.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub name: String,
    pub groups: Vec<String>,
    pub uid: String,
}

impl User {
    /// Returns whether the user may do everything, whatever RBAC says, as an administrator.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }

    fn admin() -> Self {
        Self {
            name: "kubernetes-admin".into(),
            groups: ["system:masters", "system:authenticated"]
                .map(Into::into)
                .into(),
            uid: String::new(),
        }
    }

    fn anonymous() -> Self {
        Self {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            uid: String::new(),
        }
    }

    fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".into(),
            ],
            uid: uid.to_owned(),
        }
    }
}

/// Returns the user of a request: the owner of its token, or the user whom an administrator impersonates (`kubectl --as`).
///
/// # Errors
/// 401 for an invalid token; 403 for a user who impersonates another without permission.
pub(crate) fn authenticate(service: &Service, incoming: &Incoming) -> Result<User, Failure> {
    let user = bearer(service, incoming)?;
    let name = incoming.header("impersonate-user");
    if name.is_empty() {
        return Ok(user);
    }
    if !user.is_master() {
        return Err(Failure::may_not_impersonate(&user.name, name));
    }
    if let Some(account) = name.strip_prefix("system:serviceaccount:")
        && let Some((namespace, name)) = account.split_once(':')
    {
        return Ok(User::service_account(namespace, name, ""));
    }
    let groups = incoming.headers.get_all("impersonate-group").iter();
    let groups = groups.filter_map(|group| group.to_str().ok());
    Ok(User {
        name: name.to_owned(),
        groups: groups
            .chain(["system:authenticated"])
            .map(Into::into)
            .collect(),
        uid: String::new(),
    })
}

/// Returns the user that a request's token belongs to. A request without a token is anonymous.
///
/// # Errors
/// 401 for an invalid token.
fn bearer(service: &Service, incoming: &Incoming) -> Result<User, Failure> {
    let header = incoming.header("authorization");
    if header.is_empty() {
        return Ok(User::anonymous());
    }
    let token = header.strip_prefix("Bearer ").unwrap_or_default().trim();
    let is_admin = aws_lc_rs::constant_time::verify_slices_are_equal(
        token.as_bytes(),
        service.identity.token.as_bytes(),
    );
    if is_admin.is_ok() {
        return Ok(User::admin());
    }
    let claims = jwt::verify(&service.identity, token, now()).ok_or_else(Failure::unauthorized)?;
    // A token is invalid once its service account is deleted.
    let account = service
        .store
        .read(|tx| tx.get("serviceaccounts", &claims.namespace, &claims.name))?;
    match account {
        Some(account) if account["metadata"]["uid"] == claims.uid.as_str() => Ok(
            User::service_account(&claims.namespace, &claims.name, &claims.uid),
        ),
        _ => Err(Failure::unauthorized()),
    }
}
