"""Writes the service models of this folder from botocore's (Apache-2.0).

    target/venv/bin/python src/world/outside/aws/models/generate.py [--check]

Kept is what a request and its answer need: the protocol, the operations, the shapes, which members carry an
idempotency token or are sensitive, and how an operation gives its result in pages. With --check nothing is written, and the exit code says whether the files are as
botocore of tests/requirements.txt has them.

`hosts.json` holds where the services are: botocore's partitions, and for each service what its rules say other than
`SERVICE.REGION.DOMAIN` (with FIPS `SERVICE-fips`). A host is a template with `{region}`, and may be followed by the region of the
signature; `null` is a combination that has no server.
"""
import gzip
import json
import pathlib
import sys

import botocore
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

# Name here and in the AWS CLI.
SERVICES = """acm acm-pca autoscaling dynamodb ec2 ecr ecs eks elbv2 events iam kms lambda logs rds
resourcegroupstaggingapi route53 s3 secretsmanager sns sqs ssm stepfunctions sts""".split()

# Members that are credentials although the models do not mark them (STS, "Credentials"; ECR, "AuthorizationData").
SECRET = {("sts", "tokenType"), ("ecr", "Base64")}

# S3's operations on streams of events, and such that write to a bucket of another kind, need more than a request.
LEFT_OUT = {"s3": {"SelectObjectContent", "WriteGetObjectResponse", "CreateSession"}}

PRIMITIVES = {"string": "s", "character": "s", "integer": "i", "long": "i", "float": "f", "double": "f",
              "boolean": "b", "blob": "x", "timestamp": "t"}


def read(service, kind="service-2"):
    folder = pathlib.Path(botocore.__file__).parent / "data" / service
    newest = sorted(folder.iterdir())[-1]
    for name in (f"{kind}.json", f"{kind}.json.gz"):
        path = newest / name
        if path.exists():
            raw = path.read_bytes()
            return json.loads(gzip.decompress(raw) if name.endswith("gz") else raw)
    if kind == "service-2":
        raise SystemExit(f"botocore has no model of {service}")
    return {}


def paginators(service):
    """How each operation gives pages: the params that ask for the next one, where the last one says which that is, what
    is joined, and what the first page says for all."""
    several = lambda value: [value] if isinstance(value, str) else value or []
    table = read(service, "paginators-1").get("pagination", {})
    extras = read(service, "paginators-1.sdk-extras").get("merge", {}).get("pagination", {})
    found = {}
    for name, rule in table.items():
        rule = {**rule, **extras.get(name, {})}
        out = {"in": several(rule["input_token"]), "out": several(rule["output_token"]),
               "results": several(rule.get("result_key"))}
        for key, known in (("also", "non_aggregate_keys"), ("more", "more_results")):
            if rule.get(known):
                out[key] = rule[known]
        found[name] = out
    return found


def compact(service):
    model = read(service)
    pages = paginators(service)
    meta, shapes = model["metadata"], model["shapes"]
    kept = {}

    def member(ref, place):
        """A member of a structure, an item, a key or a value."""
        shape = shapes[ref["shape"]]
        out = {}
        kind = shape["type"]
        if kind in PRIMITIVES:
            word = PRIMITIVES[kind]
            if kind == "timestamp" and (ref.get("timestampFormat") or shape.get("timestampFormat")):
                out["format"] = ref.get("timestampFormat") or shape["timestampFormat"]
            out["is"] = word
        else:
            out["is"] = ref["shape"]
            keep(ref["shape"])
        if ref.get("locationName") and ref["locationName"] != place:
            out["name"] = ref["locationName"]
        if ref.get("queryName"):
            out["query"] = ref["queryName"]
        if ref.get("location"):
            out["in"] = ref["location"]
        if ref.get("xmlAttribute"):
            out["attribute"] = True
        flat = ref.get("flattened") or shape.get("flattened")
        if flat:
            out["flat"] = True
        if ref.get("idempotencyToken"):
            out["token"] = True
        if ref.get("jsonvalue"):
            out["jsonvalue"] = True
        if shape.get("sensitive") or ref.get("sensitive") or (service, ref["shape"]) in SECRET:
            out["secret"] = True
        namespace = ref.get("xmlNamespace") or shape.get("xmlNamespace")
        if namespace:
            out["xmlns"] = namespace if isinstance(namespace, str) else namespace["uri"]
            if isinstance(namespace, dict) and namespace.get("prefix"):
                out["prefix"] = namespace["prefix"]
        # A string, that is nothing but one, is its word alone.
        return out["is"] if set(out) == {"is"} else out

    def keep(name):
        if name in kept:
            return
        shape = shapes[name]
        kind = shape["type"]
        if kind == "structure":
            kept[name] = out = {}
            out["members"] = {key: member(ref, key) for key, ref in sorted(shape.get("members", {}).items())}
            if shape.get("required"):
                out["required"] = sorted(shape["required"])
            if shape.get("payload"):
                out["payload"] = shape["payload"]
        elif kind == "list":
            kept[name] = out = {}
            out["item"] = member(shape["member"], "member")
        elif kind == "map":
            kept[name] = out = {}
            out["key"] = member(shape["key"], "key")
            out["value"] = member(shape["value"], "value")

    operations = {}
    for name, operation in sorted(model["operations"].items()):
        if name in LEFT_OUT.get(service, ()):
            continue
        out = {}
        http = operation.get("http", {})
        if http.get("method", "POST") != "POST":
            out["method"] = http["method"]
        if http.get("requestUri", "/") != "/":
            out["uri"] = http["requestUri"]
        given = operation.get("input")
        if given:
            out["input"] = given["shape"]
            keep(given["shape"])
            if given.get("locationName"):
                out["root"] = given["locationName"]
            if given.get("xmlNamespace"):
                out["xmlns"] = given["xmlNamespace"]["uri"]
        answered = operation.get("output")
        if answered:
            out["output"] = answered["shape"]
            keep(answered["shape"])
            if answered.get("resultWrapper"):
                out["wrapper"] = answered["resultWrapper"]
        if operation.get("httpChecksumRequired") or operation.get("httpChecksum", {}).get("requestChecksumRequired"):
            out["checksum"] = True
        if operation.get("endpoint", {}).get("hostPrefix"):
            out["host_prefix"] = operation["endpoint"]["hostPrefix"]
        if pages.get(name, {}).get("results"):
            out["pages"] = pages[name]
        operations[name] = out
    facts = {
        "id": meta["serviceId"], "version": meta["apiVersion"], "protocol": meta["protocol"],
        "endpoint": meta["endpointPrefix"], "signing": meta.get("signingName", meta["endpointPrefix"]),
    }
    for key, name in (("json", "jsonVersion"), ("target", "targetPrefix"), ("global", "globalEndpoint"),
                      ("xmlns", "xmlNamespace")):
        if meta.get(name) and not (key == "json" and meta["protocol"] != "json"):
            facts[key] = meta[name]
    if "awsQueryCompatible" in meta:
        facts["query_compatible"] = True
    lines = ["{"]
    for key, value in facts.items():
        lines.append(f"{json.dumps(key)}: {json.dumps(value)},")
    for key, table in (("operations", operations), ("shapes", kept)):
        lines.append(f"{json.dumps(key)}: {{")
        rows = [f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in sorted(table.items())]
        lines.append(",\n".join(rows))
        lines.append("}," if key == "operations" else "}")
    lines.append("}")
    return "\n".join(lines) + "\n"


VARIANTS = {"plain": (False, False), "fips": (True, False), "dual": (False, True), "fips-dual": (True, True)}


def hosts():
    data = pathlib.Path(botocore.__file__).parent / "data" / "partitions.json"
    known = json.loads(data.read_text())
    lines, partitions = ["{", '"partitions": ['], known["partitions"]
    rows = []
    # `us` begins many names, so the partition of the others comes last.
    for partition in sorted(partitions, key=lambda partition: partition["id"] == "aws"):
        out = partition["outputs"]
        begins = "" if partition["id"] == "aws" else partition["regionRegex"].split("\\-\\w")[0].lstrip("^")
        begins = begins.replace("\\", "").replace("(", "").replace(")", "")
        begins += "-" if begins else ""
        # All partitions of today have both variants, at least by their rules.
        assert out["supportsFIPS"] and out["supportsDualStack"], partition["id"]
        rows.append(json.dumps({"id": partition["id"], "begins": begins, "domain": out["dnsSuffix"],
                                "dual_stack": out["dualStackDnsSuffix"]}))
    lines += [",\n".join(rows), "],", '"services": {']
    lines.append(",\n".join(f"{json.dumps(s)}: {json.dumps(hosts_of(s, known))}" for s in sorted(SERVICES)))
    lines += ["}", "}"]
    return "\n".join(lines) + "\n"


def hosts_of(service, known):
    """The hosts of a service that are not as usual, by partition and variant; those of one region have its name, too."""
    provider, name = EndpointProvider(read(service, "endpoint-rule-set-1"), known), read(service)["metadata"]["endpointPrefix"]
    found = {}
    for partition in known["partitions"]:
        out, table = partition["outputs"], {}
        regions = [region for region in partition["regions"] if not region.endswith("-global")]
        for variant, (fips, dual) in VARIANTS.items():
            usual = f"{name}{'-fips' if fips else ''}.{{region}}.{out['dualStackDnsSuffix' if dual else 'dnsSuffix']}"
            places = {region: place(provider, service, region, fips, dual) for region in regions}
            # One server for the whole partition, or one for each region.
            if len(regions) > 1 and len(set(places.values())) == 1:
                templates = {region: place and " ".join(place) for region, place in places.items()}
            else:
                templates = {region: template(place, region) for region, place in places.items()}
            most = max(set(templates.values()), key=lambda text: (list(templates.values()).count(text), text or ""))
            if most != usual:
                table[variant] = most
            for region, text in sorted(templates.items()):
                if text != most:
                    table[f"{variant} {region}"] = text
        if table:
            found[partition["id"]] = table
    return found


def place(provider, service, region, fips, dual):
    """The host and the region of the signature; None if there is no server."""
    params = {"Region": region, "UseFIPS": fips, "UseDualStack": dual}
    if service in ("s3", "sts"):
        params["UseGlobalEndpoint"] = False
    try:
        endpoint = provider.resolve_endpoint(**params)
    except EndpointProviderError:
        return None
    schemes = endpoint.properties.get("authSchemes") or [{}]
    return endpoint.url.removeprefix("https://"), schemes[0].get("signingRegion", region)


def template(place, region):
    if place is None:
        return None
    host, signing = place
    host = host.replace(region, "{region}")
    return host if signing == region else f"{host} {signing}"


def main():
    here = pathlib.Path(__file__).parent
    stale = []
    texts = {"hosts": hosts} | {service: lambda service=service: compact(service) for service in SERVICES}
    for service, make in texts.items():
        path, text = here / f"{service}.json", make()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    unknown = {path.stem for path in here.glob("*.json")} - set(texts)
    if stale or unknown:
        raise SystemExit(f"not as botocore {botocore.__version__} has them: {sorted(stale)} {sorted(unknown)}")
    print(f"{len(SERVICES)} models of botocore {botocore.__version__}")


main()
