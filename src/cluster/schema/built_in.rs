use std::sync::LazyLock;

use k8s_openapi::{
    api::{
        admissionregistration::v1 as admission, apps::v1 as apps,
        authentication::v1 as authentication, authorization::v1 as authorization, core::v1 as core,
        networking::v1 as networking, policy::v1 as policy, rbac::v1 as rbac,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions,
    apimachinery::pkg::apis::meta::v1 as meta,
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use super::hints;

/// The prefix of references between definitions.
pub(super) const REFERENCE: &str = "#/components/schemas/";

static DOCUMENT: LazyLock<Map<String, Json>> = LazyLock::new(|| {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.transforms.clear();
    });
    let mut generator = settings.into_generator();
    macro_rules! kinds {
        ($($kind:ty),* $(,)?) => { $(generator.subschema_for::<$kind>();)* };
    }
    kinds!(
        core::ConfigMap,
        core::Event,
        core::Namespace,
        core::Node,
        core::Pod,
        core::Secret,
        core::ServiceAccount,
        core::Service,
        admission::MutatingWebhookConfiguration,
        admission::ValidatingWebhookConfiguration,
        apps::ControllerRevision,
        apps::DaemonSet,
        apps::Deployment,
        apps::ReplicaSet,
        apps::StatefulSet,
        extensions::CustomResourceDefinition,
        authentication::SelfSubjectReview,
        authentication::TokenRequest,
        authorization::SelfSubjectAccessReview,
        authorization::SelfSubjectRulesReview,
        authorization::SubjectAccessReview,
        networking::NetworkPolicy,
        policy::Eviction,
        policy::PodDisruptionBudget,
        rbac::ClusterRole,
        rbac::ClusterRoleBinding,
        rbac::Role,
        rbac::RoleBinding,
        k8s_openapi::api::autoscaling::v1::Scale,
        meta::DeleteOptions,
    );
    let mut document = generator.take_definitions(false);
    hints::add(&mut document);
    document
});

/// Returns the definitions of all built-in kinds and their parts, by name.
pub(crate) fn document() -> &'static Map<String, Json> {
    &DOCUMENT
}

/// Returns the name of a built-in kind's definition.
pub(crate) fn definition_name(group: &str, kind: &str) -> String {
    match group {
        "apiextensions.k8s.io" => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.{kind}")
        }
        "" => format!("io.k8s.api.core.v1.{kind}"),
        group => {
            let short = group.split('.').next().unwrap_or_default();
            format!("io.k8s.api.{short}.v1.{kind}")
        }
    }
}
