//! Chooses the profile of AWS's configuration as the aws CLI does.
//!
//! The SDK for Rust ignores a profile that does not exist, prefers credentials of the environment over those of a requested profile, and
//! uses AWS itself if a `services` section is missing. Each of these may lead to another account than the intended
//! one.

use std::{env, fs, path::PathBuf};

use aws_config::{
    Region,
    default_provider::region,
    ecs::EcsCredentialsProvider,
    imds::credentials::ImdsCredentialsProvider,
    meta::credentials::CredentialsProviderChain,
    profile::{ProfileFileCredentialsProvider, ProfileSet, load},
    provider_config::ProviderConfig,
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_acmpca::config::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};

use super::connect::PcaTarget;

/// The reason why AWS's configuration can't be used as requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("the AWS profile `{name}` ({source_name}) is neither in {config} nor in {credentials}")]
    Missing {
        name: String,
        /// Who requests it: the target, or a variable.
        source_name: &'static str,
        config: String,
        credentials: String,
    },
    #[error(
        "the AWS profile `{profile}` has `services = {name}`, and {config} has no section `[services {name}]`"
    )]
    Services {
        profile: String,
        name: String,
        config: String,
    },
    #[error("the AWS configuration in {config} and {credentials} can't be read: {why}")]
    Unreadable {
        config: String,
        credentials: String,
        why: String,
    },
}

/// The profile that is used.
#[derive(Debug)]
pub(super) struct Chosen {
    /// `None` for the one named `default`, which need not exist.
    pub name: Option<String>,
    pub problem: Option<ProfileError>,
}

impl Chosen {
    /// Returns the profile of the target, or else of the environment, and its problem, if there is one.
    pub async fn of(target: &PcaTarget) -> Self {
        let (name, source_name) = match &target.profile {
            Some(name) => (Some(name.clone()), "`profile` of the target"),
            // The order of the aws CLI, which differs from the SDK's.
            None => ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"]
                .into_iter()
                .filter_map(|variable| Some((variable, env::var(variable).ok()?)))
                .find(|(_, name)| !name.is_empty())
                .map_or((None, ""), |(variable, name)| (Some(name), variable)),
        };
        let problem = problem(name.as_deref(), source_name).await;
        Self { name, problem }
    }
}

async fn problem(name: Option<&str>, source_name: &'static str) -> Option<ProfileError> {
    let config_path = path("AWS_CONFIG_FILE", "config");
    let config = config_path.display().to_string();
    let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "credentials")
        .display()
        .to_string();
    let loaded = load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await;
    let profiles: ProfileSet = match loaded {
        Ok(profiles) => profiles,
        Err(e) => {
            return Some(ProfileError::Unreadable {
                config,
                credentials,
                why: crate::value::causes(&e),
            });
        }
    };
    let profile = profiles.get_profile(name.unwrap_or("default"));
    let Some(profile) = profile else {
        return name.map(|name| ProfileError::Missing {
            name: name.into(),
            source_name,
            config,
            credentials,
        });
    };
    let services = profile.get("services")?.trim().to_owned();
    let text = fs::read_to_string(&config_path).unwrap_or_default();
    (!has_services(&text, &services)).then(|| ProfileError::Services {
        profile: profile.name().into(),
        name: services,
        config,
    })
}

/// Says whether a configuration file has a section `[services NAME]`. The SDK keeps only the settings inside of sections.
fn has_services(text: &str, name: &str) -> bool {
    let sections = text.lines().filter_map(|line| {
        let line = line.trim().strip_prefix('[')?;
        let (section, _) = line.split_once(']')?;
        section.trim().strip_prefix("services")
    });
    sections
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .any(|rest| rest.trim().trim_matches(['"', '\'']) == name)
}

/// Returns the path of one of the two files.
fn path(variable: &str, file: &str) -> PathBuf {
    let home = || env::home_dir().unwrap_or_default();
    match env::var(variable) {
        Ok(path) => match path.strip_prefix("~/") {
            Some(rest) => home().join(rest),
            None => path.into(),
        },
        Err(_) => home().join(".aws").join(file),
    }
}

/// Returns the credentials of a profile that a target names, as `aws --profile` does: those of the environment are not used; those of
/// the machine are, if the profile has none.
/// do not count; those of the machine do, where the profile has none.
pub(super) async fn credentials(
    name: &str,
    target: &PcaTarget,
    http: Option<SharedHttpClient>,
) -> CredentialsProviderChain {
    let region = match &target.region {
        Some(region) => Some(Region::new(region.clone())),
        None => {
            let chain = region::Builder::default().profile_name(name).build();
            chain.region().await
        }
    };
    let mut config = ProviderConfig::without_region()
        .with_region(region)
        .with_use_fips(target.fips)
        .with_use_dual_stack(target.dual_stack);
    if let Some(http) = http {
        config = config.with_http_client(http);
    }
    let profile = ProfileFileCredentialsProvider::builder()
        .configure(&config)
        .profile_name(name)
        .build();
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    let machine = ImdsCredentialsProvider::builder()
        .configure(&config)
        .build();
    CredentialsProviderChain::first_try("Profile", profile)
        .or_else("EcsContainer", container)
        .or_else("Ec2InstanceMetadata", machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_a_section_of_services_is_found_by_its_name() {
        let text = "[profile a]\nservices = mine\n[ services  mine ] ; x\n[services 'b c']\n";
        for (name, is_there) in [("mine", true), ("b c", true), ("a", false), ("", false)] {
            assert_eq!(has_services(text, name), is_there, "{name}");
        }
    }
}
