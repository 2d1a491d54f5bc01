//! Joins a result that a service returns in pages, as botocore's paginators do (`botocore/paginate.py`).

use serde::Deserialize;

use crate::value::Value;

/// How an operation returns a long result. Paths go through maps by dots.
#[derive(Clone, Debug, Deserialize)]
pub struct Pages {
    /// The params that request the next page.
    #[serde(rename = "in")]
    takes: Vec<String>,
    /// For each of these params, the path of its value in a page: `NextMarker || Contents[-1].Key`.
    #[serde(rename = "out")]
    gives: Vec<String>,
    /// The paths of the values to join: lists are appended, numbers added.
    results: Vec<String>,
    /// The paths of values that only the first page has.
    #[serde(default)]
    also: Vec<String>,
    /// The path of the flag for another page, if the token does not show it.
    more: Option<String>,
}

/// The params of the next page, in the order of those that an operation takes; `Null` for one that is left out.
pub type Next = Vec<Value>;

impl Pages {
    /// Returns the values that are taken from the first page.
    pub fn said_once(&self, page: &Value) -> Value {
        let mut whole = Value::map::<String>([]);
        for path in &self.also {
            if let Some(value) = at(page, path) {
                *place(&mut whole, path) = value.clone();
            }
        }
        whole
    }

    /// Adds the lists of a page.
    pub fn join(&self, whole: &mut Value, page: &Value) {
        for path in &self.results {
            let Some(new) = at(page, path) else {
                continue;
            };
            let held = place(whole, path);
            match (&mut *held, new) {
                (Value::List(all), Value::List(more)) => all.extend(more.iter().cloned()),
                (Value::Int(sum), Value::Int(more)) => *sum = sum.saturating_add(*more),
                (Value::Float(sum), Value::Float(more)) => *sum += more,
                (Value::String(text), Value::String(more)) => text.push_str(more),
                (Value::Null, new) => *held = new.clone(),
                // The map is the same on each page.
                _ => {}
            }
        }
    }

    /// Returns the params that request the page after this one; `None` after the last one.
    pub fn next(&self, page: &Value) -> Option<Next> {
        if let Some(more) = &self.more
            && at(page, more) != Some(&Value::Bool(true))
        {
            return None;
        }
        let found = self.gives.iter().map(|paths| {
            let mut paths = paths.split("||").map(str::trim);
            let value = paths.find_map(|path| at(page, path).filter(|value| !is_empty(value)));
            value.cloned().unwrap_or_default()
        });
        let next: Next = found.collect();
        next.iter()
            .any(|value| *value != Value::Null)
            .then_some(next)
    }

    /// Says whether these params already request that page.
    pub fn is_asked(&self, params: &Value, next: &Next) -> bool {
        let mut pairs = self.takes.iter().zip(next);
        pairs.all(|(name, value)| params.field(name).unwrap_or(&Value::Null) == value)
    }

    /// Sets the params that request that page.
    pub fn ask(&self, params: &mut Value, next: Next) {
        if let Value::Map(params) = params {
            params.extend(self.takes.iter().cloned().zip(next));
        }
    }
}

/// Returns the value at a path; `[-1]` is the last item of a list. `Null` if there is none.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path.split('.').try_fold(value, |value, part| {
        let (key, is_last) = match part.strip_suffix("[-1]") {
            Some(key) => (key, true),
            None => (part, false),
        };
        match (value.field(key)?, is_last) {
            (Value::List(items), true) => items.last(),
            (_, true) => None,
            (value, false) => Some(value),
        }
    });
    found.filter(|value| **value != Value::Null)
}

/// Returns the place of a path in a result; creates maps on the way.
fn place<'v>(whole: &'v mut Value, path: &str) -> &'v mut Value {
    path.split('.').fold(whole, |value, key| {
        if !matches!(value, Value::Map(_)) {
            *value = Value::map::<String>([]);
        }
        match value {
            Value::Map(map) => map.entry(key.to_owned()).or_default(),
            // It has just been made a map.
            other => other,
        }
    })
}

/// Says whether a token means that there is no other page.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Secret(secret) => secret.reveal().is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::model::{service, services},
        *,
    };

    fn read(text: &str) -> Value {
        Value::parse_json(text).expect("JSON")
    }

    fn pages(name: &str, operation: &str) -> &'static Pages {
        let operation = &service(name).expect("a model").operations[operation];
        operation.pages.as_ref().expect("it gives pages")
    }

    /// Returns the joined result of these pages, and the params that request each page but the first.
    fn joined(name: &str, operation: &str, texts: &[&str]) -> (String, Vec<String>) {
        let pages = pages(name, operation);
        let (mut params, mut asked) = (read(r#"{"Name":"n"}"#), Vec::new());
        let mut whole = pages.said_once(&read(texts[0]));
        for (number, text) in texts.iter().enumerate() {
            let page = read(text);
            pages.join(&mut whole, &page);
            match pages.next(&page) {
                Some(next) => {
                    assert!(!pages.is_asked(&params, &next));
                    pages.ask(&mut params, next.clone());
                    assert!(pages.is_asked(&params, &next));
                    asked.push(params.to_json().to_string());
                }
                None => assert_eq!(number + 1, texts.len(), "a page is left"),
            }
        }
        (whole.to_json().to_string(), asked)
    }

    #[test]
    fn lists_of_all_pages_are_one() {
        let (whole, asked) = joined(
            "ec2",
            "DescribeVpcs",
            &[
                r#"{"Vpcs":[{"VpcId":"a"}],"NextToken":"t"}"#,
                r#"{"Vpcs":[{"VpcId":"b"}],"NextToken":""}"#,
            ],
        );
        assert_eq!(whole, r#"{"Vpcs":[{"VpcId":"a"},{"VpcId":"b"}]}"#);
        assert_eq!(asked, [r#"{"Name":"n","NextToken":"t"}"#]);
    }

    #[test]
    fn a_token_has_as_many_parts_as_the_operation_takes() {
        let (whole, asked) = joined(
            "route53",
            "ListResourceRecordSets",
            &[
                r#"{"ResourceRecordSets":[1],"IsTruncated":true,"NextRecordName":"b.","NextRecordType":"A"}"#,
                r#"{"ResourceRecordSets":[2],"IsTruncated":false,"NextRecordName":"c."}"#,
            ],
        );
        assert_eq!(whole, r#"{"ResourceRecordSets":[1,2]}"#);
        assert_eq!(
            asked,
            [
                r#"{"Name":"n","StartRecordIdentifier":null,"StartRecordName":"b.","StartRecordType":"A"}"#
            ]
        );
    }

    #[test]
    fn numbers_are_added_and_a_token_may_be_a_map_or_the_last_key() {
        let (whole, _) = joined(
            "dynamodb",
            "Scan",
            &[
                r#"{"Items":[1],"Count":1,"LastEvaluatedKey":{"id":{"S":"a"}},"ConsumedCapacity":{"TableName":"t"}}"#,
                r#"{"Items":[2,3],"Count":2,"LastEvaluatedKey":{}}"#,
            ],
        );
        assert!(
            whole.contains(r#""Count":3"#) && whole.contains(r#""Items":[1,2,3]"#),
            "{whole}"
        );
        assert!(whole.contains(r#""TableName":"t""#), "{whole}");
        let (whole, asked) = joined(
            "s3",
            "ListObjects",
            &[
                r#"{"Contents":[{"Key":"a"},{"Key":"b"}],"IsTruncated":true}"#,
                r#"{"Contents":[{"Key":"c"}],"IsTruncated":false}"#,
            ],
        );
        assert!(
            whole.contains(r#"{"Key":"a"},{"Key":"b"},{"Key":"c"}"#),
            "{whole}"
        );
        assert_eq!(asked, [r#"{"Marker":"b","Name":"n"}"#]);
        let (whole, _) = joined(
            "rds",
            "DescribeEngineDefaultParameters",
            &[
                r#"{"EngineDefaults":{"Marker":"m","Parameters":[1]}}"#,
                r#"{"EngineDefaults":{"Parameters":[2]}}"#,
            ],
        );
        assert_eq!(whole, r#"{"EngineDefaults":{"Parameters":[1,2]}}"#);
    }

    /// A token that can't be sent would request the first page again and again.
    #[test]
    fn each_operation_takes_its_tokens_and_gives_its_lists() {
        let mut found = 0;
        for name in services() {
            let service = service(name).expect("a model");
            for (operation, asked) in &service.operations {
                let Some(pages) = &asked.pages else {
                    continue;
                };
                found += 1;
                assert_eq!(pages.takes.len(), pages.gives.len(), "{name} {operation}");
                let members = service.members(asked).expect("params");
                for takes in &pages.takes {
                    assert!(members.contains_key(takes), "{name} {operation}: {takes}");
                }
            }
        }
        assert!(found > 300, "{found}");
    }
}
