"""Cloud Storage's JSON API: buckets with labels and policies, objects with generations and preconditions."""

from __future__ import annotations

from fakes.google import objects
from fakes.google.base import NUMBER, PROJECT, Api, Json, Refused, now
from fakes.google.objects import OBJECT, check
from fakes.google.policies import change_policy, policy
from fakes.state import Reply, Request, State

api = Api("storage", no_login="Invalid Credentials")
"""Its table holds the routes of uploads.py too."""

BUCKET = "/storage/v1/b/{bucket}"
TAKEN_BY_US = "Your previous request to create the named bucket succeeded and you already own it."
TAKEN = (
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please "
    "select a different name and try again."
)
FOREIGN = (
    "tester@example.org does not have storage.buckets.get access to the Google Cloud Storage bucket. Permission "
    "'storage.buckets.get' denied on resource (or it may not exist)."
)


def bucket_of(state: State, name: str) -> Json:
    if name in state.of("others' buckets"):
        raise Refused(403, "", FOREIGN, reason="forbidden")
    if name not in state.of("storage.buckets"):
        raise Refused(404, "", "The specified bucket does not exist.", reason="notFound")
    return state.of("storage.buckets")[name]


def merge(into: Json, change: Json) -> Json:
    """A JSON merge patch: null takes a field away."""
    merged = dict(into)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def new_bucket(name: str, asked: Json) -> Json:
    made = {
        "kind": "storage#bucket",
        "id": name,
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
        "projectNumber": NUMBER,
        "metageneration": "1",
        "location": "US",
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": now(),
        "updated": now(),
        "softDeletePolicy": {"retentionDurationSeconds": "604800", "effectiveTime": now()},
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": False},
            "publicAccessPrevention": "inherited",
        },
    }
    made = merge(made, asked)
    made["location"] = made["location"].upper()
    made["locationType"] = "region" if "-" in made["location"] else "multi-region"
    return made


@api.on("POST /storage/v1/b")
def create(state: State, request: Request) -> Json:
    name = request.json["name"]
    if request.one("project") not in (PROJECT, NUMBER):
        raise Refused(400, "", "Unknown project id: " + request.one("project"), reason="invalid")
    if name in state.of("storage.buckets"):
        raise Refused(409, "", TAKEN_BY_US, reason="conflict")
    if name in state.of("others' buckets"):
        raise Refused(409, "", TAKEN, reason="conflict")
    state.of("storage.buckets")[name] = new_bucket(name, request.json)
    owners = {"role": "roles/storage.legacyBucketOwner",
              "members": [f"projectEditor:{PROJECT}", f"projectOwner:{PROJECT}"]}  # fmt: skip
    change_policy(state, f"bucket {name}", {"version": 1, "bindings": [owners]})
    return state.of("storage.buckets")[name]


@api.on("GET /storage/v1/b")
def listed(state: State, request: Request) -> Json:
    prefix = request.one("prefix")
    every = state.of("storage.buckets").items()
    return {"kind": "storage#buckets", "items": [one for name, one in sorted(every) if name.startswith(prefix)]}


@api.on(f"GET {BUCKET}")
def described(state: State, request: Request, bucket: str) -> Json:
    return bucket_of(state, bucket)


@api.on(f"GET {BUCKET}/storageLayout")
def layout(state: State, request: Request, bucket: str) -> Json:
    location = bucket_of(state, bucket)["location"]
    return {"kind": "storage#storageLayout", "bucket": bucket, "location": location, "locationType": "region"}


@api.on(f"PATCH {BUCKET}")
def patch(state: State, request: Request, bucket: str) -> Json:
    one = bucket_of(state, bucket)
    check_meta(request, one)
    number = str(int(one["metageneration"]) + 1)
    changed = {**merge(one, request.json), "metageneration": number, "updated": now()}
    state.of("storage.buckets")[bucket] = changed
    return changed


def check_meta(request: Request, one: Json) -> None:
    wanted = request.one("ifMetagenerationMatch")
    if wanted and wanted != one["metageneration"]:
        raise Refused(412, "", objects.CONDITION, reason="conditionNotMet")


@api.on(f"DELETE {BUCKET}")
def delete(state: State, request: Request, bucket: str) -> Reply:
    check_meta(request, bucket_of(state, bucket))
    if state.of(f"storage.objects/{bucket}"):
        raise Refused(409, "", "The bucket you tried to delete is not empty.", reason="conflict")
    del state.of("storage.buckets")[bucket]
    state.of("policies").pop(f"bucket {bucket}", None)
    return Reply(204)


@api.on(f"GET {BUCKET}/managedFolders")
def managed_folders(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return {"kind": "storage#managedFolders", "items": []}


# -- policies ------------------------------------------------------------------------------------------------------


def shown(bucket: str, value: Json) -> Json:
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket}", **value}


@api.on(f"GET {BUCKET}/iam")
def get_policy(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return shown(bucket, policy(state, f"bucket {bucket}"))


@api.on(f"PUT {BUCKET}/iam")
def set_policy(state: State, request: Request, bucket: str) -> Json:
    """Set a policy; this API answers 412 to a stale etag where the others answer 409."""
    bucket_of(state, bucket)
    etag = request.json.get("etag")
    if etag and etag != policy(state, f"bucket {bucket}")["etag"]:
        raise Refused(412, "", objects.CONDITION, reason="conditionNotMet")
    return shown(bucket, change_policy(state, f"bucket {bucket}", request.json))


@api.on(f"GET {BUCKET}/iam/testPermissions")
def test_permissions(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return {"kind": "storage#testIamPermissionsResponse", "permissions": request.query.get("permissions", [])}


# -- objects -------------------------------------------------------------------------------------------------------


@api.on(f"GET {BUCKET}/o")
def listed_objects(state: State, request: Request, bucket: str) -> Json:
    bucket_of(state, bucket)
    return objects.listing(state, request, bucket)


@api.on(f"GET {BUCKET}/o/{OBJECT}")
def get_object(state: State, request: Request, bucket: str, name: str) -> Reply | Json:
    bucket_of(state, bucket)
    one = objects.existing(state, request, bucket, name)
    return objects.media(request, one) if request.one("alt") == "media" else one["meta"]


@api.on(f"GET /download{BUCKET}/o/{OBJECT}")
def download(state: State, request: Request, bucket: str, name: str) -> Reply:
    bucket_of(state, bucket)
    return objects.media(request, objects.existing(state, request, bucket, name))


@api.on(f"PATCH {BUCKET}/o/{OBJECT}")
def patch_object(state: State, request: Request, bucket: str, name: str) -> Json:
    bucket_of(state, bucket)
    one = objects.existing(state, request, bucket, name)
    number = str(int(one["meta"]["metageneration"]) + 1)
    one["meta"] = {**merge(one["meta"], request.json), "metageneration": number, "updated": now()}
    return one["meta"]


@api.on(f"DELETE {BUCKET}/o/{OBJECT}")
def delete_object(state: State, request: Request, bucket: str, name: str) -> Reply:
    bucket_of(state, bucket)
    objects.existing(state, request, bucket, name)
    del state.of(f"storage.objects/{bucket}")[name]
    return Reply(204)


@api.on(f"POST {BUCKET}/o/{OBJECT}/copyTo/b/{{to}}/o/{{new}}")
def copy(state: State, request: Request, bucket: str, name: str, to: str, new: str) -> Json:
    bucket_of(state, bucket)
    bucket_of(state, to)
    source = state.of(f"storage.objects/{bucket}").get(name)
    if source is None:
        raise objects.no_object(bucket, name)
    check(request, state.of(f"storage.objects/{to}").get(new))
    kept = {field: source["meta"][field] for field in ("contentType", "metadata") if field in source["meta"]}
    return objects.put(state, request, to, {**kept, **request.json, "name": new}, source["data"])


@api.on(f"POST {BUCKET}/o/{OBJECT}/rewriteTo/b/{{to}}/o/{{new}}")
def rewrite(state: State, request: Request, bucket: str, name: str, to: str, new: str) -> Json:
    """A copy that the real one may make in several requests, this one in the first."""
    made = copy(state, request, bucket, name, to, new)
    size = made["size"]
    return {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True,
            "resource": made}  # fmt: skip
