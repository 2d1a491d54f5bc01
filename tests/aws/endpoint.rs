//! Which host is asked, and whose certificate is believed.

use super::{caller::Caller, tunnel::Tunnel};
use crate::{
    client::Served,
    tls::{Terminator, make_certificate},
};

const PLAIN: &str = "acm-pca.us-east-1.amazonaws.com";
const FIPS: &str = "acm-pca-fips.us-east-1.amazonaws.com";
const DUAL: &str = "acm-pca.us-east-1.api.aws";
const BOTH: &str = "acm-pca-fips.us-east-1.api.aws";
const GOV: &str = "acm-pca.us-gov-west-1.amazonaws.com";
const CHINA: &str = "acm-pca.cn-north-1.amazonaws.com.cn";

const SIGNER: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKID"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
];

/// Through the proxy of the environment, over TLS, to a CA that checks the signature: everything of
/// a call to AWS but AWS.
#[test]
fn fips_and_dual_stack_choose_the_host() {
    let keys = "aws_access_key_id = AKID\naws_secret_access_key = secret\n";
    let caller = Caller::new(&format!(
        "[profile fips]\n{keys}use_fips_endpoint = true\n[profile dual]\n{keys}use_dualstack_endpoint = true\n\
         [profile both]\n{keys}use_fips_endpoint = true\nuse_dualstack_endpoint = true\n",
    ));
    let served = Served::start(&caller.test, &["--access-key", "AKID:secret"]);
    let hosts = [PLAIN, FIPS, DUAL, BOTH, GOV, CHINA];
    make_certificate(&caller.test, &hosts);
    let terminator = Terminator::start(&caller.test, served.address());
    let tunnel = Tunnel::start(terminator.port);
    let (fips, dual) = (
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
    );
    let east = "region = \"us-east-1\"";
    for (target, variables, host) in [
        (east.to_owned(), &[][..], PLAIN),
        (east.to_owned(), &[fips], FIPS),
        (east.to_owned(), &[dual], DUAL),
        (east.to_owned(), &[fips, dual], BOTH),
        (format!("{east}, profile = \"fips\""), &[], FIPS),
        (format!("{east}, profile = \"dual\""), &[], DUAL),
        (format!("{east}, profile = \"both\""), &[], BOTH),
        (format!("{east}, fips = true"), &[], FIPS),
        (format!("{east}, dual_stack = true"), &[], DUAL),
        (format!("{east}, fips = true, dual_stack = true"), &[], BOTH),
        (
            format!("{east}, fips = false, dual_stack = true"),
            &[fips],
            DUAL,
        ),
        (
            "region = \"us-gov-west-1\", fips = true".to_owned(),
            &[],
            GOV,
        ),
        ("region = \"cn-north-1\"".to_owned(), &[], CHINA),
    ] {
        let way = [
            ("HTTPS_PROXY", tunnel.url.as_str()),
            ("AWS_CA_BUNDLE", "out/root-ca.pem"),
        ];
        let ran = caller.look(&target, &[&SIGNER, &way, variables].concat());
        let mut asked = tunnel.asked();
        // Whose account it is, is asked elsewhere.
        asked.retain(|asked| !asked.starts_with("sts"));
        assert_eq!(
            asked,
            [format!("{host}:443")],
            "{target} {variables:?}\n{}",
            ran.stderr
        );
        ran.expect(0);
    }
}

#[test]
fn an_endpoint_is_not_chosen_twice() {
    let caller = Caller::new("");
    for choice in ["fips = true", "dual_stack = true"] {
        let target = format!("endpoint = \"http://127.0.0.1:1\", region = \"us-east-1\", {choice}");
        let ran = caller.look(&target, &SIGNER).expect(2);
        ran.says("dual_stack");
    }
}

#[test]
fn an_endpoint_may_be_named_outside_the_target() {
    let caller = Caller::new("");
    let served = Served::start(&caller.test, &["--access-key", "AKID:secret"]);
    let url = format!("http://{}", served.address());
    // A profile that a target names does not take the environment's credentials.
    let keys = "aws_access_key_id = AKID\naws_secret_access_key = secret\n";
    let config = format!(
        "[profile plain]\n{keys}endpoint_url = {url}\n[profile service]\n{keys}services = mine\n\
         endpoint_url = http://127.0.0.1:1\n[services mine]\nacm_pca =\n  endpoint_url = {url}\n"
    );
    caller.test.write(".aws/config", &config);
    let look = |profile: &str, variables: &[(&str, &str)]| {
        let target = format!("region = \"us-east-1\"{profile}");
        caller.look(&target, &[&SIGNER, variables].concat())
    };
    // The special one goes before the general one, which leads nowhere.
    let nowhere = ("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    look("", &[nowhere]).expect(1);
    look("", &[nowhere, ("AWS_ENDPOINT_URL_ACM_PCA", &url)]).expect(0);
    look("", &[("AWS_ENDPOINT_URL", &url)]).expect(0);
    look(", profile = \"plain\"", &[]).expect(0);
    look(", profile = \"service\"", &[]).expect(0);
    // The target's own goes before all of them.
    let own = format!(", endpoint = \"{url}\"");
    let special = ("AWS_ENDPOINT_URL_ACM_PCA", "http://127.0.0.1:1");
    look(&own, &[nowhere, special]).expect(0);
}

#[test]
fn a_bundle_of_cas_of_ones_own_is_trusted_and_nothing_else() {
    let caller = Caller::new("");
    let served = Served::start(&caller.test, &[]);
    make_certificate(&caller.test, &["localhost"]);
    let terminator = Terminator::start(&caller.test, served.address());
    let look = |more: &str, variables: &[(&str, &str)]| {
        let port = terminator.port;
        let target =
            format!("endpoint = \"https://localhost:{port}\", region = \"us-east-1\"{more}");
        caller.look(&target, &[&SIGNER, variables].concat())
    };
    look("", &[]).expect(1);
    look("", &[("AWS_CA_BUNDLE", "out/root-ca.pem")]).expect(0);
    let wrong = look("", &[("AWS_CA_BUNDLE", "look.yaml")]).expect(2);
    assert!(
        wrong.stderr.contains("look.yaml") && wrong.stderr.contains("CA bundle"),
        "{}",
        wrong.stderr
    );
    look(", ca_bundle = \"out/root-ca.pem\"", &[]).expect(0);
}
