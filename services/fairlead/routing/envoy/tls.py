"""TLS of a gateway: what it shows to the other side, and whom it believes.

The certificates are files in the gateway's container that change while it runs. Envoy watches such files only where a
secret is discovered, so a folder has a small file for each secret that says where they are. What uses them stays as it
is.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.routing.envoy.proto import Json, extension, is_address, seconds, typed

CERTIFICATE, AUTHORITIES = "certificate", "authorities"
"""The names of the secrets: the gateway's own certificate with its key, and the authorities of the other side."""
_TYPES = "extensions.transport_sockets.tls.v3."
ENTRY_CERTIFICATE, ENTRY_AUTHORITIES = "entry-certificate", "entry-authorities"
"""The secrets of the entry: the certificate that clients see, and the authorities of the clients' certificates."""
HANDSHAKE_S = 10.0
"""How long a client may take from its connection to the end of the handshake."""
_VERSIONS = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}


def secret_files(certificates: str, *, authorities: bool = True) -> dict[str, Json]:
    """The files that describe the secrets, by name, for the folder that has tls.crt, tls.key and ca.crt.

    Envoy watches the folder: Kubernetes replaces its content by renaming a link in it.
    """
    own = {_file(CERTIFICATE): _certificate(CERTIFICATE, certificates)}
    return {**own, **({_file(AUTHORITIES): _authorities(AUTHORITIES, certificates)} if authorities else {})}


def entry_files(certificates: str, authorities: str = "") -> dict[str, Json]:
    """The same for the entry. `certificates` has tls.crt and tls.key; if clients need one, `authorities` has ca.crt."""
    own = {_file(ENTRY_CERTIFICATE): _certificate(ENTRY_CERTIFICATE, certificates)}
    return {**own, **({_file(ENTRY_AUTHORITIES): _authorities(ENTRY_AUTHORITIES, authorities)} if authorities else {})}


def to_clients(secrets: str, *, asks_for_certificates: bool) -> Json:
    """Fields of a listener's filter chain: TLS with clients, which need a certificate if it asks for one.

    `secrets` is the folder with the entry_files.
    """
    asked = {
        "require_client_certificate": True,
        # A session that is resumed would not be verified again.
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
    }
    trusted = {"validation_context_sds_secret_config": _discovered(secrets, ENTRY_AUTHORITIES)}
    context = typed(
        f"{_TYPES}DownstreamTlsContext",
        **(asked if asks_for_certificates else {}),
        common_tls_context={
            "tls_params": {**_VERSIONS, "tls_minimum_protocol_version": "TLSv1_2"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificate_sds_secret_configs": [_discovered(secrets, ENTRY_CERTIFICATE)],
            **(trusted if asks_for_certificates else {}),
        },
    )
    return {
        "transport_socket": extension("envoy.transport_sockets.tls", context),
        "transport_socket_connect_timeout": seconds(HANDSHAKE_S),
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


def _certificate(name: str, folder: str) -> Json:
    files = {
        "certificate_chain": {"filename": f"{folder}/tls.crt"},
        "private_key": {"filename": f"{folder}/tls.key"},
    }
    return _secret(name, tls_certificate={**files, **_watched(folder)})


def _authorities(name: str, folder: str) -> Json:
    return _secret(name, validation_context={"trusted_ca": {"filename": f"{folder}/ca.crt"}, **_watched(folder)})


def _watched(folder: str) -> Json:
    return {"watched_directory": {"path": folder}}


def _secret(name: str, **kind: Json) -> Json:
    return {"resources": [typed(f"{_TYPES}Secret", name=name, **kind)]}


def _file(name: str) -> str:
    return f"{name}.json"
