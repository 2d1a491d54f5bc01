use serde_json::Value;

/// Returns how many levels a document has; a scalar has none.
pub fn depth_of(json: &Value) -> usize {
    let mut deepest = 0;
    let mut left = vec![(json, 0)];
    while let Some((value, depth)) = left.pop() {
        deepest = deepest.max(depth);
        match value {
            Value::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => left.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    deepest
}

/// Returns about how many bytes a document takes as text.
pub fn json_size(json: &Value) -> usize {
    let (mut size, mut left) = (0, vec![json]);
    while let Some(value) = left.pop() {
        size += 2;
        match value {
            Value::String(text) => size += text.len(),
            Value::Array(items) => left.extend(items),
            Value::Object(map) => {
                size += map.keys().map(|key| key.len() + 3).sum::<usize>();
                left.extend(map.values());
            }
            _ => size += 2,
        }
    }
    size
}
