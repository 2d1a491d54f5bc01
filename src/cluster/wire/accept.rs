use super::Failure;

/// The representation of objects that a client wants: complete, as rows of a table, or only the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Table,
    Metadata,
}

/// What a client accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accept {
    pub shape: Shape,
    /// Discovery in one document (`g=apidiscovery.k8s.io;v=v2`).
    pub aggregated: bool,
}

impl Accept {
    /// Selects the first alternative of an `Accept` header that this server supports.
    pub fn read(header: &str) -> Result<Self, Failure> {
        let accepts = |shape, aggregated| Ok(Self { shape, aggregated });
        if header.trim().is_empty() {
            return accepts(Shape::Whole, false);
        }
        for alternative in header.split(',') {
            let mut parts = alternative.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "application/*" | "*/*") {
                continue;
            }
            let find = |name: &str| {
                let mut parts = alternative.split(';').map(str::trim);
                parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
            };
            match (find("as"), find("g"), find("v")) {
                (None, ..) => return accepts(Shape::Whole, false),
                (Some("Table"), Some("meta.k8s.io"), Some("v1")) => {
                    return accepts(Shape::Table, false);
                }
                (
                    Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                    Some("meta.k8s.io"),
                    Some("v1"),
                ) => return accepts(Shape::Metadata, false),
                (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
                    return accepts(Shape::Whole, true);
                }
                _ => {}
            }
        }
        Err(Failure::not_acceptable(&["application/json"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_supported_alternative_is_selected() {
        let read = |header| Accept::read(header).map(|accept| accept.shape).ok();
        assert_eq!(read(""), Some(Shape::Whole));
        assert_eq!(
            read(
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
            ),
            Some(Shape::Table)
        );
        assert_eq!(
            read("application/vnd.kubernetes.protobuf,application/json"),
            Some(Shape::Whole)
        );
        assert_eq!(read("application/vnd.kubernetes.protobuf"), None);
    }
}
