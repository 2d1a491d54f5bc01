//! Compares certificates and handshakes with the expectations of a test.

use time::OffsetDateTime;

use super::{
    judge::{Problem, flow},
    matching::{fits, matches},
    outcome::Outcome,
};
use crate::{
    compile::{
        ExpectedCertificate, ExpectedFailure, ExpectedHandshakes, WantedCertificate, WantedVerdict,
    },
    mesh::Handshake,
    x509::{Certificate, Purpose, Verification},
};

const SECONDS_OF_A_DAY: f64 = 86_400.0;
/// How many failed handshakes are shown.
const SHOWN: usize = 10;

/// Lists the expectations that a certificate does not meet.
pub fn wrong(expected: &ExpectedCertificate, outcome: &Outcome) -> Vec<Problem> {
    let place = &expected.place;
    let text = outcome.certificates_at(place);
    let Some(wanted) = &expected.wanted else {
        let problem = Problem::new(format!("`{place}` contains certificates"));
        return text.map(|_| problem).into_iter().collect();
    };
    let Some(text) = text else {
        return vec![Problem::new(format!("`{place}` contains no certificate"))];
    };
    let found = match Certificate::read_all(text.as_bytes()) {
        Ok(found) => found,
        Err(e) => return vec![Problem::new(format!("can't read `{place}`: {e}"))],
    };
    // A text that could be read has at least one.
    let Some(first) = found.first() else {
        return Vec::new();
    };
    let mut problems: Vec<_> = fields(wanted, first, found.len())
        .into_iter()
        .map(|(name, wanted, found)| {
            let what = format!("`{name}` of the certificate in `{place}` is not as expected");
            Problem::new(what).with(format!("- {wanted}\n+ {found}"))
        })
        .collect();
    let verdicts = wanted.verifies.iter();
    problems.extend(verdicts.filter_map(|one| {
        unverified(one, &text, outcome).map(|why| {
            let what = if one.fails {
                format!(
                    "the certificate in `{place}` verifies under `{}`",
                    one.under
                )
            } else {
                format!(
                    "the certificate in `{place}` does not verify under `{}`",
                    one.under
                )
            };
            Problem::new(what).with(why)
        })
    }));
    problems
}

/// Returns the differences: the key of the expectation, the expected value, and the actual one.
fn fields(
    wanted: &WantedCertificate,
    found: &Certificate,
    count: usize,
) -> Vec<(&'static str, String, String)> {
    let value = found.to_value();
    let mut wrong = Vec::new();
    for (name, wanted) in &wanted.fields {
        let found = value.field(name).cloned().unwrap_or_default();
        if !matches(wanted, &found) {
            wrong.push((*name, flow(&wanted.to_json()), flow(&found.to_json())));
        }
    }
    let life = (found.not_after - found.not_before).as_seconds_f64();
    let days = (life / SECONDS_OF_A_DAY).round() as i64;
    let numbers = [
        ("days", wanted.days, days),
        ("count", wanted.count, count as i64),
    ];
    for (name, wanted, found) in numbers {
        if wanted.is_some_and(|wanted| wanted != found) {
            wrong.push((
                name,
                wanted.unwrap_or_default().to_string(),
                found.to_string(),
            ));
        }
    }
    wrong
}

/// Returns why a certificate does not verify, or that it verifies although it must not.
fn unverified(wanted: &WantedVerdict, shown: &str, outcome: &Outcome) -> Option<String> {
    let Some(roots) = outcome.certificates_at(&wanted.under) else {
        return Some(format!("`{}` contains no certificate", wanted.under));
    };
    let chain = match &wanted.chain {
        None => String::new(),
        Some(place) => match outcome.certificates_at(place) {
            Some(chain) => chain,
            None => return Some(format!("`{place}` contains no certificate")),
        },
    };
    let purpose = wanted.purpose.parse().unwrap_or(Purpose::Server);
    let now = OffsetDateTime::now_utc();
    let verdict = match Verification::new(shown, &chain, &roots, purpose, None, now) {
        Ok(verification) => verification.verdict(),
        Err(e) => return Some(e.to_string()),
    };
    match (verdict.error, wanted.fails) {
        (Some(why), false) => Some(why),
        (None, true) => Some(format!("its chain: {}", verdict.chain.join(" → "))),
        _ => None,
    }
}

/// Compares handshakes with the expected ones.
pub fn wrong_handshakes(wanted: &ExpectedHandshakes, outcome: &Outcome) -> Option<Problem> {
    let found = outcome.handshakes.as_ref()?;
    if found.all.is_empty() {
        return Some(
            Problem::new("the rehearsal mesh has no handshakes")
                .with("no workload is in the mesh, or no cluster was reached"),
        );
    }
    let failed: Vec<_> = found.failed().collect();
    let expected = match wanted {
        ExpectedHandshakes::All | ExpectedHandshakes::Throughout => &[][..],
        ExpectedHandshakes::Failing(expected) => expected,
    };
    let is_like = |one: &Handshake, like: &ExpectedFailure| {
        let pairs = [
            (&like.from, Some(&one.from)),
            (&like.to, Some(&one.to)),
            (&like.error, one.error.as_ref()),
        ];
        pairs
            .into_iter()
            .all(|(pattern, text)| match (pattern, text) {
                (Some(pattern), Some(text)) => fits(pattern, text),
                (None, _) => true,
                (Some(_), None) => false,
            })
    };
    let is_expected = |one: &&&Handshake| expected.iter().any(|like| is_like(one, like));
    let unexpected: Vec<_> = failed.iter().filter(|one| !is_expected(one)).collect();
    if !unexpected.is_empty() {
        let count = unexpected.len();
        let what = format!("{count} of {} handshakes failed", found.all.len());
        let mut lines: Vec<_> = unexpected
            .iter()
            .take(SHOWN)
            .map(|one| {
                let error = one.error.as_deref().unwrap_or_default();
                format!("{} → {} ({}): {error}", one.from, one.to, one.port)
            })
            .collect();
        lines.extend((count > SHOWN).then(|| format!("and {} more", count - SHOWN)));
        return Some(Problem::new(what).with(lines.join("\n")));
    }
    let missing = expected
        .iter()
        .find(|like| !failed.iter().any(|one| is_like(one, like)))?;
    let shown = [
        ("from", &missing.from),
        ("to", &missing.to),
        ("error", &missing.error),
    ];
    let shown = shown
        .into_iter()
        .filter_map(|(name, text)| Some(format!("{name}: {}", text.as_ref()?)));
    Some(Problem::new("no handshake fails as expected").with(shown.collect::<Vec<_>>().join("\n")))
}
