//! Quantities of resources, such as `100m` and `1Gi`.

use serde_json::Value as Json;

use crate::object::items;

const WRONG: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// The suffixes of quantities, with their factors.
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// Returns the number that a quantity stands for, or `None` if it is not one.
pub(super) fn parse(text: &str) -> Option<f64> {
    let digits = |text: &str| {
        let number = text.strip_prefix(['+', '-']).unwrap_or(text);
        let fits = |c: char| c.is_ascii_digit() || c == '.';
        (!number.is_empty() && number.chars().all(fits)).then(|| text.parse::<f64>().ok())?
    };
    if let Some((number, exponent)) = text.split_once(['e', 'E'])
        && !exponent.is_empty()
        && exponent != "i"
    {
        return Some(digits(number)? * 10f64.powi(exponent.parse().ok()?));
    }
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    Some(digits(text.strip_suffix(suffix)?)? * factor)
}

/// Checks the quantities in a pod template, which must be readable. The error is that of Go's decoder.
pub(super) fn readable(object: &Json) -> Result<(), String> {
    let template = &object["spec"]["template"]["spec"];
    for list in ["/initContainers", "/containers"] {
        for container in items(template, list) {
            for kind in ["requests", "limits"] {
                let all = container["resources"][kind].as_object();
                for (_, value) in all.into_iter().flatten() {
                    if value.as_str().is_some_and(|text| parse(text).is_none()) {
                        return Err(WRONG.into());
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_suffixes_and_exponents() {
        assert_eq!(parse("100m"), Some(0.1));
        assert_eq!(parse("1Gi"), Some(1_073_741_824.0));
        assert_eq!(parse("2E"), Some(2e18));
        assert_eq!(parse("2Ei"), Some(2.0 * 1_152_921_504_606_846_976.0));
        assert_eq!(parse("1e3"), Some(1000.0));
        assert_eq!(parse("-0.5"), Some(-0.5));
        for wrong in ["", "lots", "1 Gi", "Gi", "1x", "1e", "--1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
