//! Finds services and operations by their names, and says what is wrong with a call.

use std::sync::Arc;

use super::FUNCTION;
use crate::host::{
    Thrown,
    arguments::{Arguments, refuse},
};
use windlass_ground::{closest, did_you_mean};
use windlass_world::outside::{
    AwsCall,
    aws::{Described, Misfit, Service, Unfit, service, services},
};

pub(super) fn described(options: &mut Arguments) -> Result<Option<Described>, Thrown> {
    let protocol = options.optional_text("protocol")?;
    let described = Described {
        protocol: protocol.clone().unwrap_or_default(),
        json_version: options.optional_text("json_version")?,
        target_prefix: options.optional_text("target_prefix")?,
        endpoint_prefix: options.optional_text("endpoint_prefix")?,
        signing_name: options.optional_text("signing_name")?,
        http: options.optional_text("http")?,
    };
    let is_empty = described == Described::default();
    match (protocol, is_empty) {
        (Some(_), _) => Ok(Some(described)),
        (None, true) => Ok(None),
        (None, false) => Err(refuse(
            FUNCTION,
            "to describe a service, set `protocol` and the options that belong to it",
        )),
    }
}

pub(super) fn find(
    name: &str,
    operation: &str,
    described: &Option<Described>,
) -> Result<Arc<Service>, String> {
    match (service(name), described) {
        (Some(_), Some(_)) => Err(format!("`{name}` is a known service: remove `protocol`")),
        (Some(service), None) => match unknown_operation(service, operation) {
            Some((message, help)) => Err(format!("{message}: {help}")),
            None => Ok(service.clone()),
        },
        (None, Some(described)) => described.service(name, operation).map(Arc::new),
        (None, None) => {
            let (message, help) = unknown_service(name);
            Err(format!("{message}: {help}"))
        }
    }
}

/// Returns the error and the hint for an unknown service.
fn unknown_service(name: &str) -> (String, String) {
    let lower = name.to_ascii_lowercase();
    let lower: String = lower
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .collect();
    let exact = services().find(|known| known.replace('-', "") == lower);
    let help = match exact.or_else(|| closest(&lower, services())) {
        Some(near) => did_you_mean(near),
        None => format!(
            "the known services are {}; describe another service that uses JSON with the option `protocol`",
            services().collect::<Vec<_>>().join(", ")
        ),
    };
    (format!("there is no service `{name}`"), help)
}

fn unknown_operation(service: &Service, operation: &str) -> Option<(String, String)> {
    if service.operations.contains_key(operation) {
        return None;
    }
    let names = || service.operations.keys().map(String::as_str);
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    // Accepts `get-secret-value` and `get_secret_value` as well, the forms of the CLI and of boto3.
    let exact = names().find(|known| plain(known) == plain(operation));
    let help = match exact.or_else(|| closest(operation, names())) {
        Some(near) => did_you_mean(near),
        None => format!("see the API Reference of {}", service.id),
    };
    Some((
        format!("{} has no operation `{operation}`", service.name),
        help,
    ))
}

pub(super) fn explained(call: &AwsCall, unfit: &Unfit) -> String {
    let name = format!("{} {}", call.service.name, call.operation);
    match &unfit.why {
        Misfit::Unknown(known) => {
            let last = unfit.path.rsplit('.').next().unwrap_or_default();
            match closest(last, known.iter().map(String::as_str)) {
                Some(near) => format!("{name}: {unfit}: {}", did_you_mean(near)),
                None if known.is_empty() => format!("{name}: {unfit}: it takes none"),
                None => format!("{name}: {unfit} (there is {})", known.join(", ")),
            }
        }
        _ => format!("{name}: {unfit}"),
    }
}

/// Finds a mistake in the literal arguments of a call: the argument, from 0, the message, and the hint.
pub fn literal_mistake(
    service_name: &str,
    operation: Option<&str>,
    is_described: bool,
) -> Option<(usize, String, String)> {
    if is_described {
        return None;
    }
    match service(service_name) {
        None => {
            let (message, help) = unknown_service(service_name);
            Some((0, message, help))
        }
        Some(service) => {
            let (message, help) = unknown_operation(service, operation?)?;
            Some((1, message, help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_found() {
        let help = |service: &str, operation: &str| {
            let found = literal_mistake(service, Some(operation), false);
            found.map_or_else(String::new, |(_, message, help)| {
                format!("{message}: {help}")
            })
        };
        assert_eq!(
            help("SecretsManager", "GetSecretValue"),
            "there is no service `SecretsManager`: did you mean `secretsmanager`?"
        );
        assert_eq!(
            help("secretsmanager", "get-secret-value"),
            "secretsmanager has no operation `get-secret-value`: did you mean `GetSecretValue`?"
        );
        assert_eq!(help("secretsmanager", "GetSecretValue"), "");
        assert!(help("nonsense", "X").contains("with the option `protocol`"));
    }
}
