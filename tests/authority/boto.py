"""Calls all 23 operations through boto3 and holds each answer against botocore's model.

usage: boto.py ENDPOINT PROTOCOL     the folder of the server's state is in $STATE
"""

import datetime
import json
import os
import pathlib
import sys

import boto3
import botocore.config
import botocore.session
from botocore.exceptions import ClientError

ENDPOINT, PROTOCOL = sys.argv[1:3]
STATE = pathlib.Path(os.environ["STATE"])
TEMPLATE = "arn:aws:acm-pca:::template/"
called = set()


def client(account="test", region="us-east-1"):
    core = botocore.session.get_session()
    loader = core.get_component("data_loader")
    plain = loader.load_service_model

    def load(name, kind, api_version=None):
        model = plain(name, kind, api_version)
        if kind == "service-2":
            model = json.loads(json.dumps(model))
            model["metadata"]["protocols"] = [PROTOCOL]
            model["metadata"]["protocol"] = PROTOCOL
        return model

    loader.load_service_model = load
    session = boto3.Session(botocore_session=core)
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    made = session.client(
        "acm-pca", endpoint_url=ENDPOINT, region_name=region, config=config,
        aws_access_key_id=account, aws_secret_access_key="secret",
    )
    made.meta.events.register("after-call.acm-pca.*", judge)
    return made


KINDS = {
    "string": str, "integer": int, "long": int, "boolean": bool,
    "timestamp": datetime.datetime, "list": list, "structure": dict,
}


def judge(model, http_response, parsed, **_):
    """Every member must be in the model, with its type and within its limits."""
    called.add(model.name)
    if http_response.status_code == 200 and model.output_shape is not None:
        members = {k: v for k, v in parsed.items() if k != "ResponseMetadata"}
        hold(model.output_shape, members, model.name)
    if http_response.status_code != 200:
        code = parsed["Error"]["Code"]
        known = {shape.name for shape in model.error_shapes} | {"ValidationException", "AccessDeniedException"}
        assert code in known, f"{model.name} may not answer {code}"
        assert parsed["Error"]["Message"], f"{model.name} says nothing"
    assert parsed["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"], "no request id"


def hold(shape, value, path):
    assert isinstance(value, KINDS[shape.type_name]), f"{path} is a {type(value)}"
    if shape.type_name == "structure":
        for name in shape.required_members:
            assert name in value, f"{path}.{name} is missing"
        for name, member in value.items():
            assert name in shape.members, f"{path}.{name} is not in the model"
            hold(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            hold(shape.member, item, f"{path}[]")
    elif shape.type_name == "string":
        assert not shape.enum or value in shape.enum, f"{path}: {value}"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} should answer {code}")


pca = client()


def configuration(name, key="EC_prime256v1", signing="SHA256WITHECDSA"):
    return {"KeyAlgorithm": key, "SigningAlgorithm": signing, "Subject": {"CommonName": name}}


def sign(issuer, csr, template, days, signing="SHA256WITHECDSA", **more):
    issued = pca.issue_certificate(
        CertificateAuthorityArn=issuer, Csr=csr, SigningAlgorithm=signing,
        TemplateArn=TEMPLATE + template, Validity={"Type": "DAYS", "Value": days}, **more,
    )["CertificateArn"]
    names = {"CertificateAuthorityArn": issuer, "CertificateArn": issued}
    pca.get_waiter("certificate_issued").wait(**names)
    got = pca.get_certificate(**names)
    return issued, got["Certificate"], got.get("CertificateChain")


# An authority of every kind of key, from creation to its own certificate.
roots = {}
FAMILIES = {"RSA": "SHA512WITHRSA", "EC": "SHA384WITHECDSA"}
for key in ["EC_prime256v1", "EC_secp384r1", "EC_secp521r1", "RSA_2048", "RSA_3072", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87"]:
    signing = FAMILIES.get(key.split("_")[0], key)
    arn = pca.create_certificate_authority(
        CertificateAuthorityConfiguration=configuration(key, key, signing), CertificateAuthorityType="ROOT",
        Tags=[{"Key": "Name", "Value": key}], IdempotencyToken=key,
    )["CertificateAuthorityArn"]
    pca.get_waiter("certificate_authority_csr_created").wait(CertificateAuthorityArn=arn)
    csr = pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
    _, certificate, chain = sign(arn, csr, "RootCACertificate/V1", 3650, signing)
    assert chain is None
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=certificate)
    roots[key] = arn
message = refused(
    "InvalidArgsException", pca.create_certificate_authority,
    CertificateAuthorityConfiguration=configuration("x", "RSA_2048", "SHA384WITHECDSA"), CertificateAuthorityType="ROOT",
)
assert message == (
    "Signing algorithm SHA384WITHECDSA cannot be used with key type RSA_2048. "
    "Valid signing algorithms are: SHA256WITHRSA, SHA384WITHRSA, SHA512WITHRSA."
)
refused(
    "InvalidArgsException", pca.create_certificate_authority,
    CertificateAuthorityConfiguration=configuration("x", "SM2", "SM3WITHSM2"), CertificateAuthorityType="ROOT",
)

# A subordinate, with revocation.
root = roots["EC_prime256v1"]
lower = pca.create_certificate_authority(
    CertificateAuthorityConfiguration=configuration("lower"), CertificateAuthorityType="SUBORDINATE",
    RevocationConfiguration={
        "CrlConfiguration": {"Enabled": True, "ExpirationInDays": 7, "S3BucketName": "crl-bucket"},
        "OcspConfiguration": {"Enabled": True},
    },
)["CertificateAuthorityArn"]
csr = pca.get_certificate_authority_csr(CertificateAuthorityArn=lower)["Csr"]
_, certificate, chain = sign(root, csr, "SubordinateCACertificate_PathLen0/V1", 365)
pca.import_certificate_authority_certificate(
    CertificateAuthorityArn=lower, Certificate=certificate, CertificateChain=chain
)
assert pca.get_certificate_authority_certificate(CertificateAuthorityArn=lower)["CertificateChain"] == chain
described = pca.describe_certificate_authority(CertificateAuthorityArn=lower)["CertificateAuthority"]
assert described["Status"] == "ACTIVE" and described["RevocationConfiguration"]["CrlConfiguration"]["CrlType"] == "COMPLETE"

mixed = {"OcspConfiguration": {"Enabled": False, "OcspCustomCname": "x"}}
refused("InvalidArgsException", pca.update_certificate_authority, CertificateAuthorityArn=lower, RevocationConfiguration=mixed)
ocsp_off = {"OcspConfiguration": {"Enabled": False}}
pca.update_certificate_authority(CertificateAuthorityArn=lower, RevocationConfiguration=ocsp_off)
configured = pca.describe_certificate_authority(CertificateAuthorityArn=lower)["CertificateAuthority"]["RevocationConfiguration"]
assert not configured["OcspConfiguration"]["Enabled"] and configured["CrlConfiguration"]["Enabled"], configured

# Certificates, and their revocation.
leaf, _, chain = sign(lower, csr, "EndEntityCertificate/V1", 30, IdempotencyToken="one")
again, _, _ = sign(lower, csr, "EndEntityCertificate/V1", 30, IdempotencyToken="one")
other, _, _ = sign(lower, csr, "EndEntityCertificate/V1", 31, IdempotencyToken="one")
assert leaf == again and leaf != other and chain.count("BEGIN CERTIFICATE") == 2
serial = leaf.rsplit("/", 1)[1]
colons = ":".join(serial[at:at + 2] for at in range(0, 32, 2)).upper()
revoke = {"CertificateAuthorityArn": lower, "CertificateSerial": colons, "RevocationReason": "SUPERSEDED"}
pca.revoke_certificate(**revoke)
refused("RequestAlreadyProcessedException", pca.revoke_certificate, **revoke)
own = pca.describe_certificate_authority(CertificateAuthorityArn=root)["CertificateAuthority"]["Serial"]
message = refused(
    "InvalidRequestException", pca.revoke_certificate,
    CertificateAuthorityArn=root, CertificateSerial=own, RevocationReason="SUPERSEDED",
)
assert message == "Self-signed certificate can not be revoked"
assert (STATE / "buckets/crl-bucket/crl" / (lower.rsplit("/", 1)[1] + ".crl")).exists()
refused("ValidationException", sign, issuer=lower, csr=csr, template="EndEntityCertificate/V1", days=3000)
refused("MalformedCSRException", sign, issuer=lower, csr="nonsense", template="EndEntityCertificate/V1", days=3)

# Audit reports.
for form in ["JSON", "CSV"]:
    report = pca.create_certificate_authority_audit_report(
        CertificateAuthorityArn=lower, S3BucketName="reports", AuditReportResponseFormat=form
    )
    of = {"CertificateAuthorityArn": lower, "AuditReportId": report["AuditReportId"]}
    pca.get_waiter("audit_report_created").wait(**of)
    described = pca.describe_certificate_authority_audit_report(**of)
    written = (STATE / "buckets" / described["S3BucketName"] / described["S3Key"]).read_text()
    assert leaf in written and "SUPERSEDED" in written
    if form == "JSON":
        rows = json.loads(written)
        assert len(rows) == 2 and rows[0]["serial"].count(":") == 15 and rows[0]["subject"] == "CN=lower", rows

# Tags, permissions, policies.
pca.tag_certificate_authority(CertificateAuthorityArn=root, Tags=[{"Key": f"k{n:02}", "Value": str(n)} for n in range(49)])
pages = list(pca.get_paginator("list_tags").paginate(CertificateAuthorityArn=root, PaginationConfig={"PageSize": 7}))
assert len(pages) == 8 and sum(len(page["Tags"]) for page in pages) == 50
refused("TooManyTagsException", pca.tag_certificate_authority, CertificateAuthorityArn=root, Tags=[{"Key": "one-more"}])
pca.untag_certificate_authority(CertificateAuthorityArn=root, Tags=[{"Key": "k00"}, {"Key": "k01", "Value": "other"}])
assert len(pca.list_tags(CertificateAuthorityArn=root)["Tags"]) == 49

grant = {"CertificateAuthorityArn": root, "Principal": "acm.amazonaws.com"}
actions = ["IssueCertificate", "GetCertificate", "ListPermissions"]
pca.create_permission(Actions=actions, **grant)
refused("PermissionAlreadyExistsException", pca.create_permission, Actions=actions, **grant)
assert sorted(pca.list_permissions(CertificateAuthorityArn=root)["Permissions"][0]["Actions"]) == sorted(actions)
pca.delete_permission(**grant)
refused("ResourceNotFoundException", pca.delete_permission, **grant)

guest = client("111122223333")
issue = {"CertificateAuthorityArn": lower, "Csr": csr, "SigningAlgorithm": "SHA256WITHECDSA", "Validity": {"Type": "DAYS", "Value": 1}}
refused("AccessDeniedException", guest.issue_certificate, **issue)
policy = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Resource": lower,
            "Action": ["acm-pca:DescribeCertificateAuthority", "acm-pca:GetCertificate"],
        },
        {
            "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Resource": lower,
            "Action": "acm-pca:IssueCertificate",
            "Condition": {"StringEquals": {"acm-pca:TemplateArn": TEMPLATE + "EndEntityCertificate/V1"}},
        },
    ],
}
refused("ResourceNotFoundException", pca.get_policy, ResourceArn=lower)
pca.put_policy(ResourceArn=lower, Policy=json.dumps(policy))
assert json.loads(pca.get_policy(ResourceArn=lower)["Policy"]) == policy
issued = guest.issue_certificate(**issue)["CertificateArn"]
guest.get_certificate(CertificateAuthorityArn=lower, CertificateArn=issued)
refused("AccessDeniedException", guest.issue_certificate, TemplateArn=TEMPLATE + "CodeSigningCertificate/V1", **issue)
assert [ca["Arn"] for ca in guest.list_certificate_authorities(ResourceOwner="OTHER_ACCOUNTS")["CertificateAuthorities"]] == [lower]
assert guest.list_certificate_authorities()["CertificateAuthorities"] == []
refused("InvalidPolicyException", pca.put_policy, ResourceArn=lower, Policy="{}")
pca.delete_policy(ResourceArn=lower)
refused("AccessDeniedException", guest.describe_certificate_authority, CertificateAuthorityArn=lower)

# Lists, and the end of an authority.
pages = list(pca.get_paginator("list_certificate_authorities").paginate(PaginationConfig={"PageSize": 4}))
assert [len(page["CertificateAuthorities"]) for page in pages] == [4, 4, 1]
refused("InvalidNextTokenException", pca.list_certificate_authorities, NextToken="made-up")
refused("InvalidStateException", pca.delete_certificate_authority, CertificateAuthorityArn=lower)
pca.update_certificate_authority(CertificateAuthorityArn=lower, Status="DISABLED")
refused("InvalidStateException", pca.issue_certificate, **issue)
pca.delete_certificate_authority(CertificateAuthorityArn=lower, PermanentDeletionTimeInDays=7)
described = pca.describe_certificate_authority(CertificateAuthorityArn=lower)["CertificateAuthority"]
assert described["Status"] == "DELETED" and "RestorableUntil" in described
pca.restore_certificate_authority(CertificateAuthorityArn=lower)
assert pca.describe_certificate_authority(CertificateAuthorityArn=lower)["CertificateAuthority"]["Status"] == "DISABLED"

# Other regions and partitions have their own ARNs and see nothing of this one.
china = client(region="cn-north-1")
assert china.list_certificate_authorities()["CertificateAuthorities"] == []
plain = {"CertificateAuthorityConfiguration": configuration("china"), "CertificateAuthorityType": "ROOT"}
refused("InvalidArgsException", china.create_certificate_authority, **plain)
made = china.create_certificate_authority(
    KeyStorageSecurityStandard="CCPC_LEVEL_1_OR_HIGHER", **plain
)["CertificateAuthorityArn"]
assert made.startswith("arn:aws-cn:acm-pca:cn-north-1:123456789012:certificate-authority/")
refused("ResourceNotFoundException", pca.describe_certificate_authority, CertificateAuthorityArn=made)

missing = set(pca.meta.service_model.operation_names) - called
assert not missing, missing
