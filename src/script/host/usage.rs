//! How each host function is called: one table for the messages about wrong arguments, the check of options
//! before a run, and the check of what a call was given.

use std::{collections::BTreeMap, sync::LazyLock};

/// A function with its parameters, as a message shows it. A parameter in brackets may be left out; a map
/// literal holds the options, each of which a script may give.
const USAGES: [&str; 96] = [
    "base64::decode(text)",
    "base64::decode_bytes(text)",
    "base64::decode_url(text)",
    "base64::decode_url_bytes(text)",
    "base64::encode(text)",
    "base64::encode_url(text)",
    "csr::create(key, #{ subject, dns_names, ip_addresses, uris, email_addresses, key_usage, extended_key_usage, is_ca })",
    "exec::run(program, arguments, [#{ stdin, env, timeout, grace, expect, read, idempotent, secret_output, undo }])",
    "file::exists(name)",
    "file::list()",
    "file::read(name)",
    "file::read_bytes(name)",
    "file::remove(name)",
    "file::write(name, text)",
    "file::write_secret(name, secret)",
    "file::write_template(name, template, values)",
    "hash::hmac_sha256(key, text)",
    "hash::sha256(text)",
    "hash::sha512(text)",
    "http::delete(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "http::get(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "http::head(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "http::options(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "http::patch(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "http::post(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "http::put(url, [#{ headers, query, json, form, body, timeout, ca, client_certificate, client_key, expect, idempotency, secret_output, undo }])",
    "json::parse(text)",
    "json::stringify(value)",
    "key::generate(algorithm)",
    "key::read(text, [passphrase])",
    "kube::apply(cluster, manifest, [#{ force, field_manager }])",
    "kube::apply_secret(cluster, namespace, name, data, [#{ type, labels, force, field_manager }])",
    "kube::delete(cluster, namespace, object)",
    "kube::events(cluster, namespace, object)",
    "kube::find(cluster, namespace, object)",
    "kube::get(cluster, namespace, object)",
    "kube::list(cluster, namespace, kind, [#{ labels, fields }])",
    "kube::patch(cluster, namespace, object, patch, [#{ type }])",
    "kube::pods(cluster, namespace, workload)",
    "kube::replace_pods(cluster, namespace, workload, timeout, [#{ restarted }])",
    "kube::restart(cluster, namespace, workload, [#{ on_delete }])",
    "kube::secret_differences(cluster, namespace, name, data)",
    "kube::wait_rollout(cluster, namespace, workload, timeout, [#{ restarted }])",
    "kube::wait_until(cluster, namespace, object, |object| …, timeout)",
    "kube::workloads(cluster, namespace, labels)",
    "log::info(message)",
    "log::warn(message)",
    "pca::certificate_authority_certificate(arn)",
    "pca::certificate_authority_csr(arn)",
    "pca::create_audit_report(ca, #{ bucket, format })",
    "pca::create_certificate_authority(#{ type, subject, key_algorithm, signing_algorithm, tags })",
    "pca::create_permission(ca, #{ principal, actions, source_account })",
    "pca::delete_certificate_authority(arn, #{ restore_within_days })",
    "pca::delete_permission(ca, #{ principal, source_account })",
    "pca::delete_policy(ca)",
    "pca::describe_audit_report(ca, id)",
    "pca::describe_certificate_authority(arn)",
    "pca::disable_certificate_authority(arn)",
    "pca::enable_certificate_authority(arn)",
    "pca::get_certificate(ca, arn)",
    "pca::get_policy(ca)",
    "pca::import_certificate_authority_certificate(ca, #{ certificate, chain })",
    "pca::issue_certificate(ca, #{ csr, template, validity, signing_algorithm, api_passthrough })",
    "pca::list_certificate_authorities()",
    "pca::list_permissions(ca)",
    "pca::list_tags(arn)",
    "pca::put_policy(ca, json)",
    "pca::restore_certificate_authority(arn)",
    "pca::revoke_certificate(ca, #{ serial, reason })",
    "pca::tag_certificate_authority(arn, tags)",
    "pca::untag_certificate_authority(arn, keys)",
    "pca::wait_until_active(arn)",
    "pca::wait_until_audit_report(ca, id)",
    "pca::wait_until_csr_ready(arn)",
    "pca::wait_until_issued(ca, arn)",
    "random::choice(items)",
    "random::hex(count)",
    "random::int(first, last)",
    "random::password(length)",
    "random::uuid()",
    "time::add(moment, duration)",
    "time::format(moment, pattern)",
    "time::now()",
    "time::seconds_between(earlier, later)",
    "time::sleep(duration)",
    "toml::parse(text)",
    "toml::stringify(value)",
    "x509::read(pem)",
    "x509::read_all(pem)",
    "x509::split(pem)",
    "yaml::parse(text)",
    "yaml::parse_all(text)",
    "yaml::stringify(value)",
    // Rhai's own, with which most scripts begin.
    "print(text)",
    "debug(text)",
    "type_of(value)",
];

static TABLE: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let named = |usage: &'static str| Some((usage.split_once('(')?.0, usage));
    USAGES.into_iter().filter_map(named).collect()
});

/// A function with its parameters; `None` for one that the table does not have.
pub(in crate::script) fn usage(function: &str) -> Option<&'static str> {
    TABLE.get(function).copied()
}

/// The options that a function takes, and which of its arguments they are, from 0. `None` for one that
/// takes none, or any.
pub(in crate::script) fn options(function: &str) -> Option<(usize, Vec<&'static str>)> {
    let (before, inside) = usage(function)?.split_once("#{")?;
    let names = inside.split('}').next()?.split(',').map(str::trim);
    Some((before.matches(',').count(), names.collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::script::host::modules;

    /// Held against what is registered: every function is in the table, and takes as many arguments.
    #[test]
    fn e8_the_table_says_what_is_registered() {
        let engine = crate::script::engine::steps();
        let registered = engine.collect_fn_metadata(
            None,
            |info| {
                let name = format!("{}::{}", info.namespace, info.metadata.name);
                modules()
                    .iter()
                    .any(|(module, _)| *module == info.namespace)
                    .then_some((name, info.metadata.num_params))
            },
            true,
        );
        for (name, arity) in &registered {
            let usage = usage(name).unwrap_or_else(|| panic!("{name} is not in the table"));
            assert!(arities(usage).contains(arity), "{usage} takes {arity}");
        }
        let names: BTreeSet<_> = registered.iter().map(|(name, _)| name.as_str()).collect();
        let unknown = TABLE
            .keys()
            .filter(|name| name.contains("::") && !names.contains(**name));
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    fn arities(usage: &str) -> Vec<usize> {
        let inside = usage.split_once('(').map_or("", |(_, inside)| inside);
        let inside = inside.strip_suffix(')').unwrap_or(inside);
        let (mut depth, mut all, mut optional) = (0, usize::from(!inside.is_empty()), 0);
        for c in inside.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => all += 1,
                '[' => optional += 1,
                _ => {}
            }
        }
        (all - optional..=all).collect()
    }
}
