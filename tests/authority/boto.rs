//! boto3 with the server: `boto.py` calls every operation, and botocore's own model checks the responses.

use std::process::Command;

use crate::authority::lab::{Lab, beside, both, has_boto3};

fn judge(protocol: &str) {
    if !has_boto3() {
        return;
    }
    let lab = Lab::new();
    let output = Command::new("python3")
        .arg(beside("boto.py"))
        .args([&lab.endpoint(), protocol])
        .env("STATE", lab.state())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
}

#[test]
fn every_operation_answers_boto3_in_json() {
    judge("json");
}

#[test]
fn every_operation_answers_boto3_in_cbor() {
    judge("smithy-rpc-v2-cbor");
}
