//! The models of the AWS services.
//!
//! `models/generate.py` generates the files in `models/` from botocore's service models (Apache License 2.0), and documents
//! what is kept; a test compares them with botocore.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::Deserialize;

use super::pages::Pages;

/// A service: its protocol and its operations.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// The name in the AWS CLI: `secretsmanager`.
    #[serde(skip)]
    pub name: String,
    /// The name in AWS's configuration files: `Secrets Manager`.
    pub id: String,
    pub version: String,
    pub protocol: Protocol,
    /// The first part of its host names.
    pub endpoint: String,
    /// The name in signatures, and usually in the names of its IAM actions.
    pub signing: String,
    /// The version of AWS JSON: `1.0`, `1.1`.
    pub json: Option<String>,
    /// The text before the operation in `X-Amz-Target`.
    pub target: Option<String>,
    pub global: Option<String>,
    pub xmlns: Option<String>,
    #[serde(default)]
    pub query_compatible: bool,
    pub operations: BTreeMap<String, Operation>,
    pub shapes: BTreeMap<String, Shape>,
    /// Whether its operations are not known.
    #[serde(skip)]
    pub is_described: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Json,
    Query,
    RestJson,
    RestXml,
    /// Like `Query`, but with other names of members and lists.
    Ec2,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Operation {
    #[serde(default = "post")]
    pub method: String,
    #[serde(default = "root")]
    pub uri: String,
    pub input: Option<String>,
    pub output: Option<String>,
    /// The root element of a request's XML, and its namespace.
    pub root: Option<String>,
    pub xmlns: Option<String>,
    /// The element of an answer that contains the result.
    pub wrapper: Option<String>,
    /// Whether the request must contain the digest of its body.
    #[serde(default)]
    pub checksum: bool,
    pub host_prefix: Option<String>,
    /// How it returns a long result.
    pub pages: Option<Pages>,
}

fn post() -> String {
    "POST".into()
}

fn root() -> String {
    "/".into()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Shape {
    Structure {
        members: BTreeMap<String, Member>,
        #[serde(default)]
        required: Vec<String>,
        payload: Option<String>,
    },
    List {
        item: Member,
    },
    Map {
        key: Member,
        value: Member,
    },
}

/// A member of a structure, or the items of a list or a map.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Given")]
pub struct Member {
    pub kind: Kind,
    /// The name on the wire, if it differs.
    pub name: Option<String>,
    /// The name in a request of EC2, if it differs from both.
    pub query: Option<String>,
    pub place: Place,
    pub is_attribute: bool,
    pub is_flat: bool,
    pub is_token: bool,
    pub is_secret: bool,
    /// Whether it is a header with JSON in base64.
    pub is_json: bool,
    pub xmlns: Option<String>,
    pub prefix: Option<String>,
    pub format: Option<Format>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Text,
    Int,
    Float,
    Bool,
    Bytes,
    Time,
    /// The name of a shape.
    Shape(String),
}

/// The place of a member in a request or an answer of a REST protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    #[default]
    Body,
    Header,
    /// A map of all headers whose names begin with this one.
    Headers,
    Querystring,
    StatusCode,
    Uri,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    Iso8601,
    Rfc822,
    UnixTimestamp,
}

/// A member in the model files: the letter of its kind, or more.
#[derive(Deserialize)]
#[serde(untagged)]
enum Given {
    Kind(String),
    More {
        is: String,
        name: Option<String>,
        query: Option<String>,
        #[serde(rename = "in", default)]
        place: Place,
        #[serde(default)]
        attribute: bool,
        #[serde(default)]
        flat: bool,
        #[serde(default)]
        token: bool,
        #[serde(default)]
        secret: bool,
        #[serde(default)]
        jsonvalue: bool,
        xmlns: Option<String>,
        prefix: Option<String>,
        format: Option<Format>,
    },
}

impl From<Given> for Member {
    fn from(given: Given) -> Self {
        match given {
            Given::Kind(letter) => Self {
                kind: Kind::of(letter),
                ..Self::default()
            },
            Given::More {
                is,
                name,
                query,
                place,
                attribute,
                flat,
                token,
                secret,
                jsonvalue,
                xmlns,
                prefix,
                format,
            } => Self {
                kind: Kind::of(is),
                name,
                query,
                place,
                is_attribute: attribute,
                is_flat: flat,
                is_token: token,
                is_secret: secret,
                is_json: jsonvalue,
                xmlns,
                prefix,
                format,
            },
        }
    }
}

impl Kind {
    fn of(letter: String) -> Self {
        match letter.as_str() {
            "s" => Self::Text,
            "i" => Self::Int,
            "f" => Self::Float,
            "b" => Self::Bool,
            "x" => Self::Bytes,
            "t" => Self::Time,
            _ => Self::Shape(letter),
        }
    }
}

impl Member {
    /// Returns its name on the wire.
    pub fn wire<'a>(&'a self, own: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(own)
    }

    /// Returns a member of a shape, without other properties.
    pub fn of_shape(name: &str) -> Self {
        Self {
            kind: Kind::Shape(name.into()),
            ..Self::default()
        }
    }
}

impl Service {
    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }

    /// Returns the shape of a member, if it has one.
    pub fn shape_of(&self, member: &Member) -> Option<&Shape> {
        match &member.kind {
            Kind::Shape(name) => self.shape(name),
            _ => None,
        }
    }

    /// Returns the members that an operation takes; `None` if they are not known.
    pub fn members(&self, operation: &Operation) -> Option<&BTreeMap<String, Member>> {
        match self.shape(operation.input.as_deref()?)? {
            Shape::Structure { members, .. } => Some(members),
            _ => None,
        }
    }

    /// Returns the members that an operation requires.
    pub fn required(&self, operation: &Operation) -> &[String] {
        match operation.input.as_deref().and_then(|name| self.shape(name)) {
            Some(Shape::Structure { required, .. }) => required,
            _ => &[],
        }
    }

    /// Returns the member that carries an idempotency token.
    pub fn token(&self, operation: &Operation) -> Option<&str> {
        let mut members = self.members(operation)?.iter();
        members.find_map(|(name, member)| member.is_token.then_some(name.as_str()))
    }
}

/// A script's description of a service without a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// `json` or `rest-json`.
    pub protocol: String,
    /// `1.0` or `1.1`.
    pub json_version: Option<String>,
    pub target_prefix: Option<String>,
    pub endpoint_prefix: Option<String>,
    pub signing_name: Option<String>,
    /// `GET /v1/things/{Name}`.
    pub http: Option<String>,
}

impl Described {
    /// Returns the service, with the one operation that is called.
    ///
    /// # Errors
    /// The part that is missing or invalid.
    pub fn service(&self, name: &str, operation: &str) -> Result<Service, String> {
        let is_word = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        };
        let endpoint = self.endpoint_prefix.clone().unwrap_or_else(|| name.into());
        if !is_word(&endpoint) {
            return Err(format!(
                "`endpoint_prefix` is the first part of a host name, not `{endpoint}`"
            ));
        }
        let (protocol, method, uri) = match (self.protocol.as_str(), &self.http) {
            ("json", None) if self.target_prefix.is_some() => (Protocol::Json, post(), root()),
            ("json", None) => return Err("the protocol `json` needs `target_prefix`".into()),
            ("json", Some(_)) => {
                return Err("`http` belongs to the protocol `rest-json`".into());
            }
            ("rest-json", None) => {
                return Err(
                    "the protocol `rest-json` needs `http`, such as \"GET /v1/things/{Name}\""
                        .into(),
                );
            }
            ("rest-json", Some(http)) => match http.split_once(' ') {
                Some((method, path)) if path.starts_with('/') => {
                    (Protocol::RestJson, method.to_owned(), path.to_owned())
                }
                _ => {
                    return Err(format!(
                        "`http` is a method and a path, such as \"GET /v1/things/{{Name}}\", not `{http}`"
                    ));
                }
            },
            (other, _) => {
                return Err(format!(
                    "a service can be described if its protocol is `json` or `rest-json`, not `{other}`: the XML of \
                     others can't be read without a model"
                ));
            }
        };
        let asked = Operation {
            method,
            uri,
            input: None,
            output: None,
            root: None,
            xmlns: None,
            wrapper: None,
            checksum: false,
            host_prefix: None,
            pages: None,
        };
        Ok(Service {
            name: name.into(),
            id: name.into(),
            version: String::new(),
            protocol,
            signing: self.signing_name.clone().unwrap_or_else(|| name.into()),
            endpoint,
            json: Some(self.json_version.clone().unwrap_or_else(|| "1.1".into())),
            target: self.target_prefix.clone(),
            global: None,
            xmlns: None,
            query_compatible: false,
            operations: BTreeMap::from([(operation.to_owned(), asked)]),
            shapes: BTreeMap::new(),
            is_described: true,
        })
    }
}

macro_rules! models {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("models/", $name, ".json")))),*]
    };
}

static MODELS: [(&str, &str); 24] = models!(
    "acm" "acm-pca" "autoscaling" "dynamodb" "ec2" "ecr" "ecs" "eks" "elbv2" "events" "iam" "kms" "lambda" "logs"
    "rds" "resourcegroupstaggingapi" "route53" "s3" "secretsmanager" "sns" "sqs" "ssm" "stepfunctions" "sts"
);

static READ: LazyLock<Vec<OnceLock<Arc<Service>>>> =
    LazyLock::new(|| MODELS.iter().map(|_| OnceLock::new()).collect());

/// Lists the services with a model, by name.
pub fn services() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// Returns the model of a service. It is read on first use.
pub fn service(name: &str) -> Option<&'static Arc<Service>> {
    let at = MODELS.iter().position(|(known, _)| *known == name)?;
    Some(READ[at].get_or_init(|| {
        let mut service: Service =
            serde_json::from_str(MODELS[at].1).expect("a test reads every model");
        service.name = name.into();
        Arc::new(service)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_whole() {
        for name in services() {
            let service = service(name).expect("a model");
            let known = |member: &Member| match &member.kind {
                Kind::Shape(shape) => service.shape(shape).is_some(),
                _ => true,
            };
            for (operation, asked) in &service.operations {
                let shapes = [&asked.input, &asked.output];
                for shape in shapes.into_iter().flatten() {
                    assert!(
                        service.shape(shape).is_some(),
                        "{name} {operation}: {shape}"
                    );
                }
            }
            for (shape, is) in &service.shapes {
                let is_whole = match is {
                    Shape::Structure { members, .. } => members.values().all(known),
                    Shape::List { item } => known(item),
                    Shape::Map { key, value } => known(key) && known(value),
                };
                assert!(is_whole, "{name}: {shape}");
            }
        }
    }

    #[test]
    fn what_is_sensitive_is_known() {
        let sealed = |service_name: &str, shape: &str| -> Vec<String> {
            let service = service(service_name).expect("a model");
            match service.shape(shape) {
                Some(Shape::Structure { members, .. }) => members
                    .iter()
                    .filter(|(_, member)| member.is_secret)
                    .map(|(name, _)| name.clone())
                    .collect(),
                _ => Vec::new(),
            }
        };
        assert_eq!(
            sealed("secretsmanager", "GetSecretValueResponse"),
            ["SecretBinary", "SecretString"]
        );
        assert_eq!(
            sealed("sts", "Credentials"),
            ["SecretAccessKey", "SessionToken"]
        );
        assert_eq!(sealed("ssm", "Parameter"), ["Value"]);
        assert_eq!(sealed("iam", "AccessKey"), ["SecretAccessKey"]);
    }
}
