//! Where credentials come from. The CA checks signatures, so a run succeeds only with the very
//! credentials that the portal gave.

use serde_json::json;

use super::{
    caller::Caller,
    portal::{self, IDENTITY, KEY, LOGIN, REFRESH},
};
use crate::client::{Served, moto};

const START: &str = "https://corp.example/start";

const SSO: &str = "
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.example/start
sso_registration_scopes = sso:account:access

[profile session]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = pki

[profile legacy]
sso_region = us-east-1
sso_start_url = https://corp.example/start
sso_account_id = 123456789012
sso_role_name = pki
";

/// A cached login that is good until a year.
fn login(token: &str, until: u32) -> serde_json::Value {
    json!({
        "startUrl": START, "region": "us-east-1", "accessToken": token,
        "expiresAt": format!("{until}-01-01T00:00:00Z"),
    })
}

#[test]
fn an_sso_profile_signs_with_the_credentials_of_its_role() {
    let caller = Caller::new(SSO);
    let served = Served::start(&caller.test, &["--access-key", KEY]);
    let portal = portal::start();
    let look = |profile: &str| {
        let target = format!(
            "endpoint = \"http://{}\", region = \"us-east-1\", profile = \"{profile}\"",
            served.address()
        );
        let variables = [
            ("AWS_ENDPOINT_URL_SSO", portal.as_str()),
            ("AWS_ENDPOINT_URL_SSO_OIDC", portal.as_str()),
        ];
        caller.look(&target, &variables)
    };
    let ran = look("session").expect(1);
    ran.says("aws sso login");

    caller.log_in("corp", &login(LOGIN, 2096).to_string());
    look("session").expect(0);
    look("legacy").expect(1);
    caller.log_in(START, &login(LOGIN, 2096).to_string());
    look("legacy").expect(0);

    caller.log_in("corp", &login("revoked", 2096).to_string());
    let ran = look("session").expect(1);
    ran.says("aws sso login");
}

#[test]
fn an_expired_login_is_renewed_where_it_can_be() {
    let caller = Caller::new(SSO);
    let served = Served::start(&caller.test, &["--access-key", KEY]);
    let portal = portal::start();
    let target = format!(
        "endpoint = \"http://{}\", region = \"us-east-1\", profile = \"session\"",
        served.address()
    );
    let variables = [
        ("AWS_ENDPOINT_URL_SSO", portal.as_str()),
        ("AWS_ENDPOINT_URL_SSO_OIDC", portal.as_str()),
    ];
    let mut old = login("expired", 2020);
    caller.log_in("corp", &old.to_string());
    let ran = caller.look(&target, &variables).expect(1);
    ran.says("aws sso login");

    for (name, value) in [
        ("clientId", "windlass"),
        ("clientSecret", "x"),
        ("refreshToken", REFRESH),
        ("registrationExpiresAt", "2096-01-01T00:00:00Z"),
    ] {
        old[name] = json!(value);
    }
    caller.log_in("corp", &old.to_string());
    caller.look(&target, &variables).expect(0);
    assert!(caller.logins().contains(LOGIN), "{}", caller.logins());
}

/// As for pods on EKS (IAM roles for service accounts).
#[test]
fn a_web_identity_signs_with_the_credentials_of_its_role() {
    let caller = Caller::new("");
    let served = Served::start(&caller.test, &["--access-key", KEY]);
    let portal = portal::start();
    let target = format!(
        "endpoint = \"http://{}\", region = \"us-east-1\"",
        served.address()
    );
    let file = caller.test.path("identity").display().to_string();
    let variables = [
        ("AWS_ENDPOINT_URL_STS", portal.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pki"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.as_str()),
    ];
    caller.test.write("identity", "another");
    caller.look(&target, &variables).expect(1);
    caller.test.write("identity", IDENTITY);
    caller.look(&target, &variables).expect(0);
}

/// As for pods on EKS with Pod Identity, and tasks on ECS.
#[test]
fn a_container_signs_with_the_credentials_of_its_agent() {
    let caller = Caller::new("");
    let served = Served::start(&caller.test, &["--access-key", KEY]);
    let agent = format!("{}/container", portal::start());
    let target = format!(
        "endpoint = \"http://{}\", region = \"us-east-1\"",
        served.address()
    );
    let file = caller.test.path("identity").display().to_string();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.as_str()),
    ];
    caller.test.write("identity", "another");
    caller.look(&target, &variables).expect(1);
    caller.test.write("identity", IDENTITY);
    caller.look(&target, &variables).expect(0);
}

/// With moto as the Security Token Service.
#[test]
fn roles_are_assumed_by_profile_and_by_web_identity() {
    let Some(sts) = moto() else {
        return;
    };
    let role = "arn:aws:iam::123456789012:role/pki";
    let caller = Caller::new(&format!(
        "[profile pki]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n\
         [profile base]\naws_access_key_id = x\naws_secret_access_key = x\n\
         [profile process]\ncredential_process = echo '{{\"Version\": 1, \"AccessKeyId\": \"x\", \"SecretAccessKey\": \"x\"}}'\n"
    ));
    caller.test.write("token", IDENTITY);
    let served = Served::start(&caller.test, &[]);
    let sts = format!("http://{}", sts.address());
    let look = |profile: &str, variables: &[(&str, &str)]| {
        let target = format!(
            "endpoint = \"http://{}\", region = \"us-east-1\"{profile}",
            served.address()
        );
        let sts = [("AWS_ENDPOINT_URL_STS", sts.as_str())];
        caller.look(&target, &[&sts, variables].concat())
    };
    let token = caller.test.path("token").display().to_string();
    look("", &[]).expect(1);
    look(", profile = \"pki\"", &[]).expect(0);
    look(", profile = \"process\"", &[]).expect(0);
    let web = [
        ("AWS_ROLE_ARN", role),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
    ];
    look("", &web).expect(0);
}
