//! The versions and flags that a mesh may have, as far as a rotation meets them (MESH.md, "Version table").

use std::env;

/// One kind of mesh.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub options: &'static str,
    /// Whether it has ztunnel and pods behind it, beside those with sidecars.
    pub is_ambient: bool,
    /// Why its root can't be rotated, by who makes the clusters' CAs; empty where it can.
    pub refusals: [&'static str; 2],
}

/// Who makes the clusters' CAs, as [`Row::refusals`] has them.
pub const ISTIO_CA: [&str; 2] = ["gloo", "cacerts"];

const fn ambient(options: &'static str) -> Row {
    Row {
        options,
        is_ambient: true,
        refusals: ["", ""],
    }
}

const fn sidecars(options: &'static str) -> Row {
    Row {
        is_ambient: false,
        ..ambient(options)
    }
}

const fn refused(row: Row, why: &'static str) -> Row {
    Row {
        refusals: [why, why],
        ..row
    }
}

const LAST_ROOT: &str = "gives proxies only the last of two roots";
const FIRST_ROOT: &str = "trusts only the first of two roots";
const ROOT_AT_START: &str = "reads the root of its CA only as it starts";

/// Each row on both sides of what changes with a version.
pub const ROWS: [Row; 24] = [
    // A changed CA is read hot: not by default, by default, always.
    sidecars("istio=1.17"),
    sidecars("istio=1.19"),
    sidecars("istio=1.19,multi-root=on,xds-agent=on"),
    // Roots change hot with several roots, where one text contains the other.
    sidecars("istio=1.20,multi-root=on"),
    sidecars("istio=1.24.3,multi-root=on,xds-agent=on"),
    // The answer to a CSR splits the bundle.
    refused(sidecars("istio=1.24.4"), LAST_ROOT),
    refused(ambient("istio=1.25.1,ztunnel=1.30"), LAST_ROOT),
    // A half-filled cacerts makes istiod sign by itself, or not start.
    ambient("istio=1.25.2,ztunnel=1.29.2"),
    ambient("istio=1.26,ztunnel=1.30,multi-root=on"),
    // ztunnel reads all roots of a bundle, and its CA's root again.
    refused(ambient("istio=1.30,ztunnel=1.24.5"), FIRST_ROOT),
    refused(ambient("istio=1.30,ztunnel=1.26"), ROOT_AT_START),
    refused(ambient("istio=1.28,ztunnel=1.28.5"), ROOT_AT_START),
    refused(ambient("istio=1.29,ztunnel=1.29.1"), ROOT_AT_START),
    refused(
        ambient("istio=1.19,ztunnel=1.30"),
        "older than an ambient mesh needs",
    ),
    ambient("istio=1.24.5,ztunnel=1.28.6"),
    // A leaf ends with its signer, or outlives it.
    ambient("istio=1.28.6"),
    ambient("istio=1.28.7,multi-root=on,xds-agent=on"),
    ambient("istio=1.29,multi-root=on,xds-agent=on"),
    // Roots are compared as certificates.
    ambient("istio=1.30"),
    ambient("istio=1.30,multi-root=on"),
    ambient("istio=1.30,multi-root=on,xds-agent=on"),
    sidecars("istio=1.30,multi-root=on,xds-agent=on"),
    // Root trust policies have passive CAs.
    ambient("gloo=2.3"),
    Row {
        refusals: ["has no passive CAs", ""],
        ..ambient("gloo=2.2")
    },
];

/// Says which rows are tried: all of them with `WINDLASS_MESH_ROWS=all`, those with a text in their options with
/// `WINDLASS_MESH_ROWS=TEXT`; a sample without it, to keep CI short.
pub fn chosen(sample: &[(&str, &str)]) -> Vec<(Row, &'static str)> {
    let wanted = env::var("WINDLASS_MESH_ROWS").ok();
    let all = ROWS.iter().flat_map(|row| ISTIO_CA.map(|own| (*row, own)));
    all.filter(|(row, own)| match &wanted {
        None => sample.contains(&(row.options, own)),
        Some(text) => text == "all" || row.options.contains(text.as_str()),
    })
    .collect()
}

impl Row {
    /// Why its root can't be rotated.
    pub fn refusal(&self, istio_ca: &str) -> Option<&'static str> {
        let at = ISTIO_CA.iter().position(|own| *own == istio_ca);
        at.map(|at| self.refusals[at]).filter(|why| !why.is_empty())
    }
}
