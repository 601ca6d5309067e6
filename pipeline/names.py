"""Rules for names and quantities that Kubernetes and Google Cloud enforce, checked here before they do.

Each rule takes a text and returns it, or raises ValueError with one sentence: what is wrong and what would be
right. Sources: Kubernetes' documentation on object names and on resource quantities, Cloud Storage's "About
buckets", Resource Manager's "Creating projects".
"""

from __future__ import annotations

import ipaddress
import re

MAX_LABEL = 63
"""RFC 1123: what one part of a DNS name may hold, hence pods', Services' and labels' length."""

CHIEF_SUFFIX = "-chief-0"
"""What the training operator appends: `train-<tag>-chief-0` names a pod and a Service."""


def label(text: str) -> str:
    """An RFC 1123 label: the names of namespaces and environments."""
    return _label(text, MAX_LABEL, r"[a-z0-9]", "a letter or digit")


def service_name(text: str) -> str:
    """A DNS-1035 label: what Services are called."""
    return _label(text, MAX_LABEL, r"[a-z]", "a letter")


def job_name(text: str) -> str:
    """A TFJob's name: a DNS-1035 label that leaves room for `-chief-0`."""
    return _label(text, MAX_LABEL - len(CHIEF_SUFFIX), r"[a-z]", "a letter", f', for "{CHIEF_SUFFIX}" is appended')


def name_prefix(text: str) -> str:
    """The pipeline's name: the cluster (at most 40) and the registry (starts with a letter) are called so."""
    return _label(text, 40, r"[a-z]", "a letter")


def namespace(text: str) -> str:
    """A namespace that is ours to use."""
    if text.startswith("kube-"):
        raise ValueError(f"{quoted(text)} belongs to Kubernetes itself; choose one that does not start with kube-")
    return label(text)


def project_id(text: str) -> str:
    """A Google Cloud project's id: 6 to 30 lower-case letters, digits and hyphens."""
    if not text:
        raise ValueError("empty; write your Google Cloud project's id")
    if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", text):
        raise ValueError(
            f"{quoted(text)} is not a project id: 6 to 30 lower-case letters, digits and hyphens, "
            "a letter first, no hyphen last (the id, not the project's name or number)"
        )
    return text


def region(text: str) -> str:
    """A region such as us-central1."""
    if not re.fullmatch(r"[a-z]+(-[a-z]+)+[0-9]+", text):
        raise ValueError(f"{quoted(text)} is not a region; they look like us-central1")
    return text


def zone(text: str) -> str:
    """A zone such as us-central1-c."""
    if not re.fullmatch(r"[a-z]+(-[a-z]+)+[0-9]+-[a-z]", text):
        raise ValueError(f"{quoted(text)} is not a zone; they look like us-central1-c")
    return text


def machine_type(text: str) -> str:
    """A machine or accelerator type such as e2-standard-4 or nvidia-tesla-t4."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", text):
        raise ValueError(f"{quoted(text)} is not a type of machine or accelerator; they look like e2-standard-4")
    return text


def platform(text: str) -> str:
    """What an image is built for: linux/amd64."""
    if not re.fullmatch(r"linux/(amd64|arm64)", text):
        raise ValueError(f"{quoted(text)} is not a platform that GKE has; write linux/amd64 or linux/arm64")
    return text


def address_range(text: str) -> str:
    """A range of IP addresses: 203.0.113.0/24."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a range of addresses; write one like 203.0.113.0/24") from None


def caller(text: str) -> str:
    """Who may call a server in the cluster: a namespace, or a range of IP addresses."""
    return address_range(text) if "/" in text else label(text)


def member(text: str) -> str:
    """Who may enter: user:, group: or domain: and a name."""
    if not re.fullmatch(r"(user|group|serviceAccount):[^@\s,]+@[a-z0-9.-]+|domain:[a-z0-9.-]+", text):
        raise ValueError(f"{quoted(text)} is not a member; write one like user:ann@example.org")
    return text


def ssh_host(text: str) -> str:
    """A machine to run the tools on, as SSH names it: [user@]host[:port]."""
    if not re.fullmatch(r"([a-z_][a-z0-9_.-]*@)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?", text):
        raise ValueError(f"{quoted(text)} is not a host; write one like ann@build.example.org or host:2222")
    return text


def bucket_name(text: str) -> str:
    """A Cloud Storage bucket's name, without gs://."""
    wrong = _bucket_problem(text)
    if wrong:
        raise ValueError(f"{quoted(text)} cannot name a bucket: {wrong}")
    return text


def _bucket_problem(text: str) -> str:
    if text.startswith("gs://"):
        return "leave gs:// away"
    if not 3 <= len(text) <= MAX_LABEL:
        return f"it has {len(text)} characters, 3 to {MAX_LABEL} are allowed"
    if not re.fullmatch(r"[a-z0-9._-]*", text):
        return "only lower-case letters, digits, - _ and . are allowed"
    if not re.fullmatch(r"[a-z0-9].*[a-z0-9]", text):
        return "it must begin and end with a letter or digit"
    if re.search(r"\.\.|\.-|-\.", text):
        return "a dot stands between letters or digits"
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", text):
        return "it looks like an IP address"
    if text.startswith("goog"):
        return "goog… is Google's own"
    if "google" in text.translate(str.maketrans("013", "ole")):
        return 'it must not contain "google" or a look-alike'
    return ""


def cpu(text: str) -> str:
    """A Kubernetes CPU quantity: 2, 0.5, 250m."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]{1,3})?|[0-9]+m", text):
        raise ValueError(f"{quoted(text)} is not a number of CPUs; write 2, 0.5 or 250m")
    if not float(text.removesuffix("m")):
        raise ValueError(f"{quoted(text)} CPUs are none; write at least 1m")
    return text


_BYTES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def memory(text: str) -> str:
    """A Kubernetes memory quantity: 512Mi, 4Gi. Less than 1 Mi is a forgotten unit."""
    parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMGT]|[KMGT]i)?", text)
    if not parts:
        raise ValueError(f"{quoted(text)} is not an amount of memory; write 512Mi or 4Gi")
    if float(parts[1]) * _BYTES[parts[2] or ""] < 2**20:
        raise ValueError(f"{quoted(text)} is less than 1Mi of memory; write 512Mi or 4Gi")
    return text


def image(text: str) -> str:
    """A container image: [registry[:port]/]path[:tag][@sha256:…]."""
    host = r"(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?"
    path = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    if not re.fullmatch(rf"{host}{path}(?:/{path})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?", text, re.ASCII):
        raise ValueError(f"{quoted(text)} is not an image; write one like tensorflow/serving:2.20.0")
    return text


def gateway(text: str) -> str:
    """A Gateway of the Gateway API and the namespace that it is in: namespace/name."""
    if not all(_is_label(part) for part in text.split("/")) or text.count("/") != 1:
        raise ValueError(f"{quoted(text)} names no Gateway; write namespace/name, as in gateways/internal")
    return text


def host(text: str) -> str:
    """An IP address or a DNS name of RFC 1123 labels."""
    if _is_address(text):
        return text
    named = len(text) <= 253 and not re.fullmatch(r"[0-9.]+", text)
    if not named or not all(_is_label(part) for part in text.split(".")):
        raise ValueError(f"{quoted(text)} is neither an IP address nor a host name; write no port or scheme")
    return text


def server(host: str, port: int) -> str:
    """A host and a port as one text; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_SERVER = re.compile(
    r"(?:\*\.(?P<namespace>[^:]+)|\[(?P<six>[0-9a-f:.]+)\]|(?P<host>[^:[]+)):(?P<port>[1-9][0-9]{0,4})"
)


def allowed_server(text: str) -> str:
    """Whom the page may connect to: `host:port`, or `*.namespace:port` for every Service of a namespace."""
    found = _SERVER.fullmatch(text)
    if not found or int(found["port"]) > 65535 or (found["six"] and not _is_address(found["six"])):
        raise ValueError(f"{quoted(text)} is not a server; write host:port, or *.namespace:port for a whole namespace")
    if found["namespace"]:
        label(found["namespace"])
        return text
    name = host(found["six"] or found["host"])
    if _is_address(name) and _is_nobodys(name):
        raise ValueError(f"{quoted(text)} is at an address that no model server may have; write the server's own")
    return text


def url(text: str) -> str:
    """The http(s) address of a folder: files' names are appended to it."""
    if (
        not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s,?#]*)?", text, re.ASCII)
        or not text.isprintable()
    ):
        raise ValueError(f"{quoted(text)} is not an address; write one like https://example.org/mnist/")
    return text


def text(value: str) -> str:
    """Text on one line that is not blank: paths."""
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{quoted(value)} is blank or holds what cannot be printed; write one line of text")
    return value


def quoted(text: str) -> str:
    """The text as an error shows it: in quotes, escapes visible, shortened where it is long."""
    return f'"{printable(text)}"'


def printable(text: str) -> str:
    """The text on one line: escapes visible, shortened where it is long."""
    shown = text if len(text) <= 70 else f"{text[:70]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def _is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_nobodys(text: str) -> bool:
    """Link-local, where clouds keep what they tell their machines, multicast, or none at all."""
    address = ipaddress.ip_address(text)
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _is_label(text: str) -> bool:
    return bool(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text))


def _label(text: str, longest: int, first: str, beginning: str, reason: str = "") -> str:
    if len(text) > longest:
        raise ValueError(f"{quoted(text)} has {len(text)} characters; at most {longest} are allowed{reason}")
    if not re.fullmatch(rf"{first}([a-z0-9-]*[a-z0-9])?", text):
        raise ValueError(
            f"{quoted(text)} cannot be a name here: lower-case letters, digits and hyphens, "
            f"{beginning} first, no hyphen last"
        )
    return text
