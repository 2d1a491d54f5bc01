//! CreateCertificateAuthority.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::ready_after;
use crate::failure::{Code, Failure};
use crate::operation::call::Call;
use crate::operation::tag;
use crate::options::Quotas;
use crate::revocation;
use crate::rule::arn;
use crate::rule::status::Status;
use crate::service::unique;
use crate::store::authority::{self, Authority, Secrets};
use crate::store::tag::{Tag, put};
use crate::store::token::Token;
use crate::x509::extension::{self, Extension, KeyUsage};
use crate::x509::general_name::GeneralName;
use crate::x509::key::{KeyAlgorithm, SigningAlgorithm, SigningKey};
use crate::x509::name::{NameError, Subject, object};
use crate::x509::{der, oid, request};

/// AWS's quota of authorities for an account in a region.
const AUTHORITIES: i64 = 200;

const LEVEL_3: &str = "FIPS_140_2_LEVEL_3_OR_HIGHER";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    certificate_authority_configuration: Configuration,
    certificate_authority_type: String,
    revocation_configuration: Option<Value>,
    key_storage_security_standard: Option<String>,
    usage_mode: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    key_algorithm: String,
    signing_algorithm: String,
    subject: Subject,
    csr_extensions: Option<CsrExtensions>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CsrExtensions {
    key_usage: Option<KeyUsage>,
    subject_information_access: Option<Vec<AccessDescription>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessDescription {
    access_method: AccessMethod,
    access_location: GeneralName,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessMethod {
    custom_object_identifier: Option<String>,
    access_method_type: Option<String>,
}

/// Creates an authority with its key. Its CSR can be read after the creation delay.
pub(crate) fn create(call: &Call) -> Result<Value, Failure> {
    let input: Input = call.read()?;
    let caller = &call.caller;
    let scope = format!("{}/{}", caller.account, caller.region);
    let idempotency = call.service.options.idempotency;
    let token = Token::of(
        "CreateCertificateAuthority",
        &scope,
        &call.input,
        idempotency,
    );
    let (now, store) = (call.now, &call.service.store);
    if let Some(token) = &token
        && let Some(arn) = store.read(|connection| token.answer(connection, now))?
    {
        return Ok(json!({ "CertificateAuthorityArn": arn }));
    }

    let (key, signing) = algorithms(&input.certificate_authority_configuration, &caller.region)?;
    let standard = key_standard(
        input.key_storage_security_standard.as_deref(),
        &caller.region,
    )?;
    let revocation =
        revocation::complete(input.revocation_configuration.as_ref(), &revocation::off())?;
    let tags = input.tags.unwrap_or_default();
    tag::check(&tags)?;
    let secrets = secrets(&input.certificate_authority_configuration, key, signing)?;
    let authority = Authority {
        arn: arn::authority(&caller.region, &caller.account, &unique()?),
        account: caller.account.clone(),
        region: caller.region.clone(),
        root: input.certificate_authority_type == "ROOT",
        usage_mode: input.usage_mode.unwrap_or_else(|| "GENERAL_PURPOSE".into()),
        key_standard: standard,
        configuration: call.input["CertificateAuthorityConfiguration"].clone(),
        revocation,
        created_at: now,
        changed_at: now,
        ready_at: ready_after(now, call.service.options.delays.create),
        stored: if call.fails_later {
            Status::Failed
        } else {
            Status::PendingCertificate
        },
        failure_reason: call.fails_later.then(|| "OTHER".to_owned()),
        before: None,
        restorable_until: None,
        generation: 0,
        settled_at: 0,
        identity: None,
    };

    let quotas = call.service.options.quotas;
    let arn = store.write(move |connection| {
        if let Some(token) = &token {
            if let Some(arn) = token.answer(connection, now)? {
                return Ok(arn);
            }
            token.remember(connection, &authority.arn, now)?;
        }
        authority::purge(connection, now)?;
        let count = authority::count(connection, &authority.account, &authority.region, now)?;
        if quotas == Quotas::Aws && count >= AUTHORITIES {
            return Err(Code::LimitExceeded.says(format!(
                "You have reached the limit of {AUTHORITIES} certificate authorities in this region"
            )));
        }
        authority::insert(connection, &authority, &secrets)?;
        for tag in &tags {
            put(connection, &authority.arn, tag)?;
        }
        Ok(authority.arn)
    })?;
    Ok(json!({ "CertificateAuthorityArn": arn }))
}

fn algorithms(
    configuration: &Configuration,
    region: &str,
) -> Result<(KeyAlgorithm, SigningAlgorithm), Failure> {
    let unknown = || Code::InvalidArgs.says("The algorithm is not supported");
    let key = KeyAlgorithm::named(&configuration.key_algorithm).ok_or_else(unknown)?;
    if key == KeyAlgorithm::Sm2 {
        let why = if arn::partition(region) == "aws-cn" {
            "by this server, which has no implementation of it"
        } else {
            "in this region"
        };
        return Err(Code::InvalidArgs.says(format!("The key algorithm SM2 is not supported {why}")));
    }
    check_signing(
        &configuration.key_algorithm,
        &configuration.signing_algorithm,
    )?;
    let signing = SigningAlgorithm::named(&configuration.signing_algorithm).ok_or_else(unknown)?;
    Ok((key, signing))
}

/// Refuses a signing algorithm that does not fit the family of the key, with AWS's message.
pub(crate) fn check_signing(key: &str, signing: &str) -> Result<(), Failure> {
    let valid = KeyAlgorithm::named(key).map_or(&[][..], KeyAlgorithm::signing_algorithms);
    if valid.contains(&signing) {
        return Ok(());
    }
    Err(Code::InvalidArgs.says(format!(
        "Signing algorithm {signing} cannot be used with key type {key}. Valid signing algorithms are: {}.",
        valid.join(", ")
    )))
}

/// Returns the key storage security standard. The default is FIPS level 3; in China, only CCPC is allowed and must be
/// specified.
fn key_standard(asked: Option<&str>, region: &str) -> Result<String, Failure> {
    let china = arn::partition(region) == "aws-cn";
    match asked {
        None if !china => Ok(LEVEL_3.to_owned()),
        Some(standard) if (standard == "CCPC_LEVEL_1_OR_HIGHER") == china => {
            Ok(standard.to_owned())
        }
        _ => Err(Code::InvalidArgs.says(
            "A certificate authority cannot be created in this region with the specified security standard.",
        )),
    }
}

fn secrets(
    configuration: &Configuration,
    algorithm: KeyAlgorithm,
    signing: SigningAlgorithm,
) -> Result<Secrets, Failure> {
    let refuse = |error: NameError| Code::InvalidArgs.says(format!("Invalid subject: {error}"));
    let subject = configuration.subject.to_der().map_err(refuse)?;
    if subject == request::EMPTY_NAME {
        return Err(
            Code::InvalidArgs.says("The subject of a certificate authority must not be empty")
        );
    }
    let extensions = wanted(configuration.csr_extensions.as_ref()).map_err(refuse)?;
    let (key, private_key) = SigningKey::generate(algorithm)?;
    let csr = request::make(&key, signing, &subject, &extensions)?;
    Ok(Secrets { csr, private_key })
}

fn wanted(extensions: Option<&CsrExtensions>) -> Result<Vec<Extension>, NameError> {
    let mut all = vec![extension::authority_constraints(None)];
    let Some(extensions) = extensions else {
        return Ok(all);
    };
    all.extend(extensions.key_usage.map(KeyUsage::extension));
    if let Some(accesses) = &extensions.subject_information_access {
        let accesses = accesses.iter().map(access).collect::<Result<Vec<_>, _>>()?;
        let value = der::sequence(accesses);
        all.push(Extension::new(
            oid::SUBJECT_INFORMATION_ACCESS,
            false,
            value,
        ));
    }
    Ok(all)
}

fn access(description: &AccessDescription) -> Result<Vec<u8>, NameError> {
    let method = &description.access_method;
    let id = match (
        method.access_method_type.as_deref(),
        method.custom_object_identifier.as_deref(),
    ) {
        (Some("CA_REPOSITORY"), None) => oid::CA_REPOSITORY,
        (Some("RESOURCE_PKI_MANIFEST"), None) => oid::RESOURCE_PKI_MANIFEST,
        (Some(_), None) => oid::RESOURCE_PKI_NOTIFY,
        (None, Some(id)) => id,
        _ => return Err(NameError::NotOne),
    };
    Ok(der::sequence([
        object(id)?,
        description.access_location.to_der()?,
    ]))
}
