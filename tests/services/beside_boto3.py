"""The peer of peer.rs: asks with boto3, and holds our requests against botocore's signer.

    beside_boto3.py read URL       the calls of CALLS.json on standard input, as boto3 answers them
    beside_boto3.py send URL       the same calls, sent for the server to remember
    beside_boto3.py verify         the requests on standard input: is each signed as botocore signs it?
"""
import base64
import datetime
import json
import re
import sys

import boto3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        moment = value.astimezone(datetime.timezone.utc)
        text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
        return text + "Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "read"):
        return base64.b64encode(value.read()).decode()
    return value


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def calls(url):
    config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required")
    answers = []
    for service, operation, params, *options in json.load(sys.stdin):
        client = boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config,
                              aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret",
                              aws_session_token="token")
        methods = client.meta.method_to_api_mapping
        method = next(name for name, api in methods.items() if api == operation)
        if options and "pages" in options[0]:
            whole = client.get_paginator(method).paginate(**params).build_full_result()
            answers.append(plain({key: value for key, value in whole.items() if value is not None}))
        else:
            answers.append(plain(getattr(client, method)(**params)))
    return answers


def signature(asked):
    """The signature that botocore makes of a request, with the headers that were signed."""
    headers = asked["headers"]
    found = re.search(r"Credential=[^/]+/(\d+)/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)",
                      headers["authorization"])
    _, region, service, signed, made = found.groups()
    url = f"http://{headers['host']}{asked['target']}"
    request = AWSRequest(method=asked["method"], url=url, data=asked["body"].encode(),
                         headers={name: headers[name] for name in signed.split(";") if name != "host"})
    request.context["timestamp"] = headers["x-amz-date"]
    request.context["payload_signing_enabled"] = True
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = auth(Credentials("AKIDEXAMPLE", "secret", "token"), service, region)
    canonical = signer.canonical_request(request)
    return made, signer.signature(signer.string_to_sign(request, canonical), request), canonical


if sys.argv[1] == "verify":
    wrong = []
    for asked in json.load(sys.stdin):
        made, wanted, canonical = signature(asked)
        if made != wanted:
            wrong.append({"target": asked["target"], "made": made, "wanted": wanted, "canonical": canonical})
    print(json.dumps(wrong))
else:
    print(json.dumps(calls(sys.argv[2])))
