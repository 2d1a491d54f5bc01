use serde_json::Value as Json;

/// Resolves a number or a percentage of a total, for example `maxSurge`.
pub(super) fn share(value: &Json, total: i64, round_up: bool) -> i64 {
    let percent = match value {
        Json::String(text) => text
            .strip_suffix('%')
            .and_then(|text| text.parse::<i64>().ok()),
        _ => return value.as_i64().unwrap_or_default(),
    };
    let hundredfold = percent.unwrap_or_default().saturating_mul(total);
    if round_up {
        hundredfold.saturating_add(99) / 100
    } else {
        hundredfold / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_are_rounded_as_asked() {
        assert_eq!(share(&json!("25%"), 2, true), 1);
        assert_eq!(share(&json!("25%"), 2, false), 0);
        assert_eq!(share(&json!("100%"), 3, true), 3);
        assert_eq!(share(&json!(2), 10, true), 2);
    }
}
