"""Attempts to have the page connect where it may not (fault 63), as data: one row is what a visitor types."""

from __future__ import annotations

from typing import NamedTuple

HOME = "kubeflow"
"""The namespace whose Services are allowed while these are tried, at one port, beside `mnist-service`."""

PORT = ""
"""Stands for the allowed port, at which a listener waits for whoever slips through."""

METADATA = "169.254.169.254"


class Attempt(NamedTuple):
    """A server's address and port as typed, and what its name leads to: "" nowhere."""

    group: str
    addr: str
    port: str = PORT
    leads_to: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The row's name in a test's output: printable, and on one line."""
        typed = f"{self.addr}:{self.port}" if self.port else self.addr
        told = f"{self.group}: {typed}" + (f" -> {' '.join(self.leads_to)}" if self.leads_to else "")
        return told.encode("unicode_escape").decode()[:90]


def _rows(group: str, *addresses: str, port: str = PORT) -> list[Attempt]:
    return [Attempt(group, one, port) for one in addresses]


ATTEMPTS: tuple[Attempt, ...] = (
    *_rows("metadata", METADATA, "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"),
    *_rows("metadata", "[fd20:ce::254]", "192.0.0.192", "169.254.169.254.nip.io"),
    *_rows("metadata", METADATA, "metadata.google.internal", "instance-data", "metadata", port="80"),
    *_rows("metadata", "metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"),
    *_rows("this machine", "127.0.0.1", "localhost", "LOCALHOST", "127.0.0.2", "127.255.255.254", "0.0.0.0"),  # noqa: S104
    *_rows("this machine", "localhost.localdomain", "ip6-localhost.localdomain", "127.0.0.1.nip.io", "localtest.me"),
    *_rows("decimal", "2130706433", "2852039166", "0", "1", "127.1", "127.0.1", "127.0.0.1.", "999.1.1.1"),
    *_rows("octal", "0177.0.0.1", "017700000001", "0251.0376.0251.0376", "0127.0.0.1", "127.0.0.01"),
    *_rows("hexadecimal", "0x7f.1", "0x7f.0.0.1", "0xa9.0xfe.0xa9.0xfe", "127.0x0.0.1"),
    *_rows("IPv6", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::", "[::]", "0000::0001", "fe80::1", "febf::1", "ff02::1"),
    *_rows("IPv6 ULA", "fd00::1", "fdff:ffff::1", "[fc00::7]", "fec0::1"),
    *_rows("IPv6 mapped", "::ffff:127.0.0.1", "[::ffff:7f00:1]", f"::ffff:{METADATA}", "0:0:0:0:0:ffff:a9fe:a9fe"),
    *_rows("IPv6 compatible", "::127.0.0.1", f"::{METADATA}", "::a9fe:a9fe", f"::ffff:0:{METADATA}"),
    *_rows("NAT64", "64:ff9b::127.0.0.1", f"64:ff9b::{METADATA}", f"64:ff9b:1::{METADATA}", "64:ff9b:1:a9fe:a9:fe00::"),
    *_rows("6to4 and Teredo", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::a9fe:a9fe", "2600::5efe:127.0.0.1"),
    *_rows("zone", "fe80::1%eth0", "[fe80::1%1]", "::1%lo", "[::1%25lo]", "fe80::1%", "mnist-service%eth0"),
    # Names that may be typed, for a Service of the namespace may be called so, and that lead elsewhere.
    Attempt("leads inside", "inside", leads_to=(METADATA,)),
    Attempt("leads inside", "metadata", leads_to=(METADATA,)),
    Attempt("leads inside", "inside", leads_to=("127.0.0.1",)),
    Attempt("leads inside", "inside", leads_to=("::1",)),
    Attempt("leads inside", "inside", leads_to=("0.0.0.0",)),  # noqa: S104
    Attempt("leads inside", "inside", leads_to=("127.0.0.1", METADATA)),
    Attempt("leads inside", "inside", leads_to=("192.0.2.7", "127.0.0.1")),
    Attempt("leads inside", "inside", leads_to=("2001:db8::7", "::1")),
    Attempt("leads inside", "inside", leads_to=("::ffff:127.0.0.1",)),
    Attempt("leads inside", "inside", leads_to=(f"64:ff9b::{METADATA}",)),
    Attempt("leads inside", "inside", leads_to=("2002:7f00:1::1",)),
    Attempt("leads inside", "inside", leads_to=("fe80::1%2",)),
    Attempt("leads inside", "inside", leads_to=("255.255.255.255",)),
    Attempt("leads inside", "inside", leads_to=("ff02::1",)),
    Attempt("leads inside", "inside.kubeflow", leads_to=("127.0.0.1",)),
    Attempt("leads inside", "inside.kubeflow.svc.cluster.local", leads_to=("fd00:ec2::254",)),
    Attempt("leads inside", "mnist-service", leads_to=("127.0.0.1",)),
    *_rows("another namespace", "mnist-service.default", "mnist.default.svc", "kubernetes.default.svc.cluster.local"),
    *_rows("another namespace", "kube-dns.kube-system.svc", "mnist-service.kubeflow.svc.evil.org", "kubeflow.svc"),
    *_rows("another namespace", "mnist-service.kubeflow.evil.org", "mnist-service.kubeflow.pod", "a.b.kubeflow"),
    *(Attempt("port", "mnist-service", port) for port in ("22", "80", "443", "6443", "10250", "1", "65535")),
    *(Attempt("no port", "mnist-service", port) for port in ("0", "-1", "+9000", "65536", "99999", "9e3", "0x2328")),
    *(Attempt("no port", "mnist-service", port) for port in ("9000/", "9000@evil", "80 9000", "９０００", "٩٠٠", "\0")),
    *_rows("URL", "http://127.0.0.1/", "//127.0.0.1", "mnist-service/", "mnist-service/@evil", "mnist-service?x", "#"),
    *_rows("URL", "unix:/run/x.sock", "unix:///run/x.sock", "unix-abstract:x", "dns:///127.0.0.1", "ipv4:127.0.0.1:80"),
    *_rows("URL", "file:///etc/passwd", "gopher://127.0.0.1", "xds:///x", "passthrough:///127.0.0.1:80", "vsock:1:80"),
    *_rows("user", "mnist-service@127.0.0.1", "127.0.0.1@mnist-service", "mnist-service:9000@127.0.0.1", "a:b@c"),
    *_rows("port in it", "127.0.0.1:22", "mnist-service:22", "[::1]:22", "mnist-service:", "127.0.0.1:80:9000"),
    *_rows("percent", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "mnist-service%00.evil", "mnist-service%2f", "%"),
    *_rows("Unicode", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "loc\u00adalhost", "\u212aubeflow"),
    *_rows("Unicode", "mnist‑service", "mnist-service\u200b", "ｍnist-service", "mnist-service．evil"),
    *_rows("white space", "mnist-service 127.0.0.1", "mnist-service\t127.0.0.1", "mnist\n-service", "a\r\nHost: x"),
    *_rows("white space", "127.0.0.1\0", "mnist-service\0", "\0", "mnist-service\0.evil", " ", "", "127.0.0.1 "),
    *_rows("lists", "mnist-service,127.0.0.1", "127.0.0.1,mnist-service", "mnist-service;127.0.0.1", "a|b", "*"),
    *_rows("dots", "mnist-service.", "..", "mnist-service..", ".mnist-service", "*.kubeflow", "x" * 64, "a." * 130),
)  # fmt: skip
"""Each is to be refused with 400 or 403, and nobody connected to."""
