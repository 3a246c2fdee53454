"""TLS of a gateway: what it shows to the other side, and whom it believes.

The certificates are files in the gateway's container that change while it runs. Envoy watches such files only where a
secret is discovered, so a folder has a small file for each secret that says where they are. What uses them stays as it
is.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.routing.envoy.proto import Json, extension, is_address, typed

CERTIFICATE, AUTHORITIES = "certificate", "authorities"
"""The names of the secrets: the gateway's own certificate with its key, and the authorities of the other side."""
_TYPES = "extensions.transport_sockets.tls.v3."
_VERSIONS = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}


def secret_files(certificates: str, *, authorities: bool = True) -> dict[str, Json]:
    """The files that describe the secrets, by name, for the folder that has tls.crt, tls.key and ca.crt.

    Envoy watches the folder: Kubernetes replaces its content by renaming a link in it.
    """
    watched = {"watched_directory": {"path": certificates}}
    own = {
        "certificate_chain": {"filename": f"{certificates}/tls.crt"},
        "private_key": {"filename": f"{certificates}/tls.key"},
        **watched,
    }
    trusted = {"trusted_ca": {"filename": f"{certificates}/ca.crt"}, **watched}
    return {
        _file(CERTIFICATE): _secret(CERTIFICATE, tls_certificate=own),
        **({_file(AUTHORITIES): _secret(AUTHORITIES, validation_context=trusted)} if authorities else {}),
    }


def to_services(secrets: str, hosts: Sequence[str]) -> Json:
    """A cluster's field: TLS with a service at one of `hosts`, whose certificate must have this name or address.

    `secrets` is the folder with the secret_files.
    """
    names = [host.removesuffix(".") for host in hosts]
    matchers = [{"san_type": "DNS", "matcher": {"exact": name}} for name in names if not is_address(name)]
    matchers += [{"san_type": "IP_ADDRESS", "matcher": {"exact": name}} for name in names if is_address(name)]
    context = typed(
        f"{_TYPES}UpstreamTlsContext",
        **({} if is_address(names[0]) else {"sni": names[0]}),
        max_session_keys=0,  # a session that is resumed would go on with the certificates of before
        common_tls_context={
            "tls_params": _VERSIONS,
            "tls_certificate_sds_secret_configs": [_discovered(secrets, CERTIFICATE)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": matchers},
                "validation_context_sds_secret_config": _discovered(secrets, AUTHORITIES),
            },
        },
    )
    return {"transport_socket": extension("envoy.transport_sockets.tls", context)}


def _discovered(secrets: str, name: str) -> Json:
    source = {"resource_api_version": "V3", "path_config_source": {"path": f"{secrets}/{_file(name)}"}}
    return {"name": name, "sds_config": source}


def _secret(name: str, **kind: Json) -> Json:
    return {"resources": [typed(f"{_TYPES}Secret", name=name, **kind)]}


def _file(name: str) -> str:
    return f"{name}.json"
