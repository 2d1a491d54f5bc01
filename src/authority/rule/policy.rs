//! Resource policies: what an authority's owner allows other accounts to do with it.
//!
//! AWS accepts only a few forms of policies (the user guide's page "Resource-based policies"): statements that allow
//! principals some of seven actions on this authority, and to issue only from the templates in a condition. `*` is a
//! principal only together with an organisation.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::failure::{Code, Failure};

/// The actions that can be shared.
const ACTIONS: [&str; 7] = [
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:GetCertificate",
    "acm-pca:GetCertificateAuthorityCertificate",
    "acm-pca:IssueCertificate",
    "acm-pca:ListPermissions",
    "acm-pca:ListTags",
    "acm-pca:RevokeCertificate",
];

/// The templates that accounts other than the owner may use.
const TEMPLATES: [&str; 6] = [
    "BlankEndEntityCertificate_APICSRPassthrough/V1",
    "BlankEndEntityCertificate_APIPassthrough/V1",
    "EndEntityCertificate/V1",
    "EndEntityClientAuthCertificate/V1",
    "EndEntityServerAuthCertificate/V1",
    "SubordinateCACertificate_PathLen0/V1",
];

const TEMPLATE_KEY: &str = "acm-pca:TemplateArn";
const ORGANIZATION_KEY: &str = "aws:PrincipalOrgID";
const EQUALS: &str = "StringEquals";
const NOT_EQUALS: &str = "StringNotEquals";

const ISSUE: &str = "acm-pca:IssueCertificate";

/// A valid policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Policy {
    version: String,
    #[expect(dead_code, reason = "allowed in a policy, without effect here")]
    id: Option<String>,
    statement: OneOrMore<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[expect(dead_code, reason = "allowed in a policy, without effect here")]
    sid: Option<String>,
    effect: String,
    principal: Principal,
    action: OneOrMore<String>,
    resource: OneOrMore<String>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMore<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Principal {
    /// `*`.
    Word(String),
    Named(BTreeMap<String, OneOrMore<String>>),
}

impl Principal {
    fn names(&self, kind: &str) -> impl Iterator<Item = &str> {
        let named = match self {
            Self::Named(named) => named.get(kind),
            Self::Word(_) => None,
        };
        named
            .into_iter()
            .flat_map(|names| &names.0)
            .map(String::as_str)
    }

    /// Whether it is everybody.
    fn is_anybody(&self) -> bool {
        let is_star = |word: &str| word == "*";
        matches!(self, Self::Word(word) if is_star(word)) || self.names("AWS").any(is_star)
    }
}

/// In policies, a list with one item may be written without brackets.
#[derive(Debug, Deserialize)]
#[serde(from = "Spelled<T>")]
struct OneOrMore<T>(Vec<T>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelled<T> {
    One(T),
    More(Vec<T>),
}

impl<T> From<Spelled<T>> for OneOrMore<T> {
    fn from(spelled: Spelled<T>) -> Self {
        Self(match spelled {
            Spelled::One(item) => vec![item],
            Spelled::More(items) => items,
        })
    }
}

impl Policy {
    /// Reads the policy of an authority, and refuses every form that AWS does not accept.
    pub fn read(text: &str, authority: &str) -> Result<Self, Failure> {
        let invalid = |why: String| Code::InvalidPolicy.says(format!("Invalid policy: {why}"));
        let policy: Self =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if policy.version != "2012-10-17" {
            return Err(invalid("the version must be 2012-10-17".into()));
        }
        if policy.statement.0.is_empty() {
            return Err(invalid("there is no statement".into()));
        }
        for statement in &policy.statement.0 {
            statement
                .check(authority)
                .map_err(|why| invalid(why.into()))?;
        }
        Ok(policy)
    }

    /// Returns whether an account may carry out an action; to issue, only from this template.
    pub fn allows(&self, account: &str, action: &str, template: &str) -> bool {
        // Only a request to issue has a template. What the request does not have equals nothing, and differs from everything.
        let template = (action == ISSUE).then_some(template);
        self.statement.0.iter().any(|statement| {
            statement.is_for(account)
                && statement.action.0.iter().any(|allowed| allowed == action)
                && statement.holds(account, template)
        })
    }

    /// Returns whether an account may do anything at all.
    pub fn names(&self, account: &str) -> bool {
        self.statement.0.iter().any(|statement| {
            let mut templates = statement.templates().map(Some).chain([None]);
            statement.is_for(account)
                && templates.any(|template| statement.holds(account, template))
        })
    }
}

impl Statement {
    fn check(&self, authority: &str) -> Result<(), &'static str> {
        if self.effect != "Allow" {
            return Err("the effect of a statement must be Allow");
        }
        let is_known = match &self.principal {
            Principal::Word(word) => word == "*",
            Principal::Named(named) => {
                !named.is_empty() && named.keys().all(|kind| kind == "AWS" || kind == "Service")
            }
        };
        if !is_known {
            return Err("the principal of a statement must be AWS or Service");
        }
        let mut accounts = self.principal.names("AWS").filter(|name| *name != "*");
        let mut services = self.principal.names("Service");
        if accounts.any(|name| name.contains('*')) || services.any(|name| name.contains('*')) {
            return Err("a principal must not contain *");
        }
        let organization = |(operator, keys): (&String, &BTreeMap<_, _>)| {
            operator == EQUALS && keys.contains_key(ORGANIZATION_KEY)
        };
        if self.principal.is_anybody() && !self.condition.iter().any(organization) {
            return Err("the principal * needs the condition aws:PrincipalOrgID");
        }
        if !self
            .action
            .0
            .iter()
            .all(|action| ACTIONS.contains(&action.as_str()))
        {
            return Err("an action cannot be shared by a policy");
        }
        if !self.resource.0.iter().all(|resource| resource == authority) {
            return Err("the resource must be the certificate authority");
        }
        for (operator, keys) in &self.condition {
            let is_known = operator == EQUALS || operator == NOT_EQUALS;
            if !is_known || keys.keys().any(|key| !known_key(key)) {
                return Err("a condition is not supported");
            }
        }
        let issues = self.action.0.iter().any(|action| action == ISSUE);
        let named = self.templates().all(|arn| {
            arn.split_once(":::template/")
                .is_some_and(|(_, name)| TEMPLATES.contains(&name))
        });
        if issues && (self.templates().next().is_none() || !named) {
            return Err(
                "IssueCertificate needs the condition acm-pca:TemplateArn with templates that can be shared",
            );
        }
        Ok(())
    }

    /// Returns whether the conditions are met. There are no organisations here, and no services that act for an account.
    fn holds(&self, account: &str, template: Option<&str>) -> bool {
        self.condition.iter().all(|(operator, keys)| {
            keys.iter().all(|(key, values)| {
                let actual = match key.as_str() {
                    TEMPLATE_KEY => template,
                    "aws:PrincipalAccount" => Some(account),
                    _ => None,
                };
                let is_one = actual.is_some_and(|actual| values.0.iter().any(|v| v == actual));
                is_one == (operator == EQUALS)
            })
        })
    }

    /// The templates from which it allows to issue.
    fn templates(&self) -> impl Iterator<Item = &str> {
        let keys = self.condition.get(EQUALS);
        keys.and_then(|keys| keys.get(TEMPLATE_KEY))
            .into_iter()
            .flat_map(|arns| arns.0.iter().map(String::as_str))
    }

    fn is_for(&self, account: &str) -> bool {
        let of_account = |name: &str| {
            let mut parts = name.split(':');
            name == account || (parts.nth(2) == Some("iam") && parts.nth(1) == Some(account))
        };
        self.principal.is_anybody() || self.principal.names("AWS").any(of_account)
    }
}

fn known_key(key: &str) -> bool {
    matches!(
        key,
        TEMPLATE_KEY | ORGANIZATION_KEY | "aws:SourceAccount" | "aws:PrincipalAccount"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/x";
    const TEMPLATE: &str = "arn:aws:acm-pca:::template/EndEntityCertificate/V1";

    fn policy(action: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"111122223333"}},
            "Action":{action},"Resource":"{ARN}"{condition}}}]}}"#
        )
    }

    #[test]
    fn issuing_is_shared_for_a_template() {
        let condition =
            format!(r#","Condition":{{"StringEquals":{{"acm-pca:TemplateArn":"{TEMPLATE}"}}}}"#);
        let text = policy(r#""acm-pca:IssueCertificate""#, &condition);
        let read = Policy::read(&text, ARN).unwrap();
        assert!(read.allows("111122223333", "acm-pca:IssueCertificate", TEMPLATE));
        assert!(!read.allows("111122223333", "acm-pca:IssueCertificate", "other"));
        assert!(!read.allows("111122223333", "acm-pca:GetCertificate", TEMPLATE));
        assert!(!read.allows("999922223333", "acm-pca:IssueCertificate", TEMPLATE));
    }

    #[test]
    fn a_condition_applies_to_every_action() {
        let of = |condition: &str, action: &str| {
            let condition = format!(r#","Condition":{{"StringEquals":{{{condition}}}}}"#);
            let text = policy(&format!(r#"["{action}"]"#), &condition);
            let read = Policy::read(&text, ARN).unwrap();
            let allowed = read.allows("111122223333", action, TEMPLATE);
            assert_eq!(
                allowed,
                read.names("111122223333") && action != "acm-pca:ListTags"
            );
            allowed
        };
        let describe = "acm-pca:DescribeCertificateAuthority";
        assert!(of(r#""aws:PrincipalAccount":"111122223333""#, describe));
        assert!(!of(r#""aws:PrincipalAccount":"222222222222""#, describe));
        assert!(!of(r#""aws:PrincipalOrgID":"o-1""#, describe));
        let template = format!(r#""acm-pca:TemplateArn":"{TEMPLATE}""#);
        assert!(of(&template, "acm-pca:IssueCertificate"));
        assert!(!of(&template, "acm-pca:ListTags"), "it has no template");
    }

    /// As the user guide shows it for an organisation. No account belongs to one here, so nobody may do anything.
    #[test]
    fn everybody_of_an_organization_may_be_allowed() {
        let of = |principal: &str, condition: &str| {
            let condition = format!(r#","Condition":{{{condition}}}"#);
            let text = policy(
                r#"["acm-pca:RevokeCertificate","acm-pca:ListTags"]"#,
                &condition,
            );
            let text = text.replace(r#"{"AWS":"111122223333"}"#, principal);
            Policy::read(&text, ARN)
        };
        let organization = r#""StringEquals":{"aws:PrincipalOrgID":"o-1"}"#;
        let others = r#""StringNotEquals":{"aws:PrincipalAccount":"222222222222"}"#;
        for principal in [r#""*""#, r#"{"AWS":"*"}"#] {
            let read = of(principal, &format!("{organization},{others}")).unwrap();
            assert!(!read.names("111122223333"));
            assert!(of(principal, others).is_err(), "the whole world");
        }
        assert!(of(r#""arn:*""#, organization).is_err());
        assert!(of(r#"{"AWS":"arn:*"}"#, organization).is_err());
        assert!(of(r#"{"Service":"*"}"#, organization).is_err());
        let read = of(r#"{"AWS":["111122223333","222222222222"]}"#, others).unwrap();
        assert!(read.allows("111122223333", "acm-pca:RevokeCertificate", ""));
        assert!(!read.allows("222222222222", "acm-pca:RevokeCertificate", ""));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            policy(r#""acm-pca:IssueCertificate""#, ""),
            policy(r#"["acm-pca:DeleteCertificateAuthority"]"#, ""),
            policy(r#""*""#, ""),
            "{}".to_owned(),
            "no json".to_owned(),
        ] {
            assert_eq!(
                Policy::read(&text, ARN).unwrap_err().code,
                Code::InvalidPolicy
            );
        }
    }
}
