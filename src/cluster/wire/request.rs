use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use hyper::upgrade::OnUpgrade;
use strum::{EnumString, IntoStaticStr};

use super::{Failure, Query};

/// An HTTP request with its complete body.
#[derive(Default)]
pub(crate) struct Incoming {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The connection, for a request that asks to switch to another protocol.
    pub upgrade: Mutex<Option<OnUpgrade>>,
}

/// What a path refers to: `/api/v1/…` or `/apis/GROUP/VERSION/…`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub group: String,
    pub version: String,
    pub resource: String,
    /// `None` for all namespaces, and for resources without a namespace.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// The verbs of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Incoming {
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    pub fn query(&self) -> Query {
        Query::read(self.uri.query().unwrap_or_default())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the media type of the body, without parameters.
    pub fn media_type(&self) -> &str {
        let whole = self.header("content-type");
        whole.split(';').next().unwrap_or_default().trim()
    }

    pub fn verb(&self, target: &Target, query: &Query) -> Result<Verb, Failure> {
        let named = target.name.is_some();
        Ok(match self.method {
            Method::GET if query.flag("watch") => Verb::Watch,
            Method::GET if named => Verb::Get,
            Method::GET => Verb::List,
            Method::POST if !named || target.subresource.is_some() => Verb::Create,
            Method::PUT if named => Verb::Update,
            Method::PATCH if named => Verb::Patch,
            Method::DELETE if named => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            _ => return Err(Failure::method_not_allowed()),
        })
    }
}

impl Target {
    /// Reads a path below `/api/v1` or `/apis/GROUP/VERSION`. Returns `None` if it is not the path of a resource.
    pub fn read(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(Query::decoded)
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // A namespace is also an object, with subresources of its own.
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, None, None),
            [resource, name] => (*resource, Some(*name), None),
            [resource, name, subresource] => (*resource, Some(*name), Some(*subresource)),
            _ => return None,
        };
        let owned = str::to_owned;
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(owned),
            name: name.map(owned),
            subresource: subresource.map(owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_parsed_as_a_resource() {
        let read = |path| {
            let t = Target::read(path).unwrap();
            (t.group, t.resource, t.namespace, t.name, t.subresource)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("/api/v1/namespaces/a"),
            (String::new(), "namespaces".into(), None, some("a"), None)
        );
        assert_eq!(
            read("/apis/apps/v1/namespaces/a/deployments/b/scale"),
            (
                "apps".into(),
                "deployments".into(),
                some("a"),
                some("b"),
                some("scale")
            )
        );
        assert_eq!(
            read("/api/v1/namespaces/a/status").4.as_deref(),
            Some("status")
        );
        assert_eq!(Target::read("/version"), None);
    }
}
