"""The settings of both private Asterisks, as text. ``pbx`` is guarded; ``outside`` plays caller and telephones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

AGENTS = ("agent1", "agent2", "desk1", "sup1")
"""Telephones of the PBX; their extensions are 101, 102, 701 and 900."""

EXTENSIONS = {"101": "agent1", "102": "agent2", "701": "desk1", "900": "sup1"}

_UNLOADED = """
chan_iax2 chan_unistim chan_motif chan_console res_xmpp res_calendar cdr_csv cdr_custom cdr_manager
cdr_odbc cdr_pgsql cdr_radius cdr_sqlite3_custom cdr_tds cdr_adaptive_odbc cel_custom cel_manager
cel_odbc cel_pgsql cel_radius cel_sqlite3_custom cel_tds res_odbc res_config_odbc res_config_pgsql
res_config_ldap res_config_sqlite3 res_config_curl pbx_dundi pbx_ael pbx_lua res_snmp res_hep
res_hep_pjsip res_hep_rtcp res_prometheus app_voicemail app_voicemail_odbc app_minivm res_phoneprov
res_pjsip_phoneprov_provider app_festival res_smdi res_adsi app_adsiprog app_jack res_stun_monitor
app_followme app_agent_pool app_confbridge app_sla res_fax res_fax_spandsp res_statsd
res_cdrel_custom res_resolver_unbound res_geolocation res_pjsip_geolocation res_aeap res_speech_aeap
res_stir_shaken res_pjsip_stir_shaken app_alarmreceiver res_http_media_cache cdr_syslog res_ari
res_ari_applications res_ari_asterisk res_ari_bridges res_ari_channels res_ari_device_states
res_ari_endpoints res_ari_events res_ari_model res_ari_playbacks res_ari_recordings res_ari_sounds
res_calendar_caldav res_calendar_exchange res_calendar_icalendar res_calendar_ews
res_odbc_transaction func_odbc cdr_odbc app_stasis res_stasis_broadcast app_stasis_broadcast
res_pjsip_notify res_parking app_page app_getcpeid app_amd res_clioriginate res_websocket_client
chan_websocket
"""
"""Modules that need what is not there, or that nobody calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What one Asterisk listens on, all on loopback. rtp: first of 200 ports."""

    ami: int
    sip: int
    rtp: int


def common(folders: Mapping[str, str], ports: Ports) -> dict[str, str]:
    """What both have: folders, modules, logs, SIP and RTP. folders: name in asterisk.conf -> path."""
    rows = "".join(f"{name} => {path}\n" for name, path in folders.items())
    return {
        "asterisk.conf": f"[directories]\n{rows}\n[options]\nverbose = 3\ntransmit_silence = yes\n",
        "modules.conf": "[modules]\nautoload = yes\n" + "".join(f"noload = {name}.so\n" for name in _UNLOADED.split()),
        "logger.conf": "[general]\n[logfiles]\nfull => notice,warning,error,verbose(3),security\n",
        "rtp.conf": f"[general]\nrtpstart={ports.rtp}\nrtpend={ports.rtp + 199}\nicesupport=no\n",
        "cdr.conf": "[general]\nenable=no\n",
        "http.conf": "[general]\nenabled=no\n",
        "musiconhold.conf": "",
        "udptl.conf": "[general]\n",
    }


def _manager(ports: Ports, more: str, secret: str) -> str:
    account = (
        f"[sandbox]\nsecret = {secret}\ndeny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.1/255.255.255.255\n"
        "read = call,agent,user,dtmf,reporting,dialplan,system\n"
        "write = call,originate,agent,reporting,user,system,command\n"
        "eventfilter(action(exclude),name(VarSet)) =\n"
    )
    return f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nport = {ports.ami}\nauthlimit = 200\n\n{more}\n{account}"


def endpoint(name: str, *, context: str, contact: str, more: str = "") -> str:
    """A SIP endpoint and where it is reached, as pjsip.conf has them. context: where its calls enter the dialplan."""
    return (
        f"[{name}]\ntype=endpoint\ntransport=udp\ncontext={context}\ndisallow=all\nallow=ulaw\ndirect_media=no\n"
        f"dtmf_mode=rfc4733\nrtp_symmetric=yes\naors={name}\n{more}\n"
        f"[{name}]\ntype=aor\ncontact={contact}\n\n"
    )


def _sip(ports: Ports) -> str:
    return (
        "[global]\ntype=global\nendpoint_identifier_order=username,ip\n\n"
        f"[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{ports.sip}\n\n"
    )


def pbx(ports: Ports, outside: Ports, *, manager: str, secret: str, play_language: str) -> dict[str, str]:
    """The guarded PBX's own files, those that include callguard's among them.

    manager: the shipped account with a real secret. secret: of the sandbox's own account. play_language: of phones.
    """
    phones = "".join(
        endpoint(
            name,
            context="telephones",
            contact=f"sip:{name}@127.0.0.1:{outside.sip}",
            more=f"callerid={name} <{number}>\nlanguage={play_language}\nallow_subscribe=no\n",
        )
        for number, name in EXTENSIONS.items()
    )
    trunk = endpoint(
        "trunk",
        context="from-outside",
        contact=f"sip:127.0.0.1:{outside.sip}",
        more=f"language={play_language}\nallow_transfer=no\n",
    )
    return {
        "pjsip.conf": _sip(ports) + trunk + "[trunk]\ntype=identify\nendpoint=trunk\nmatch=127.0.0.1\n\n" + phones,
        "manager.conf": _manager(ports, manager, secret),
        "features.conf": "[general]\n[featuremap]\natxfer => #2\nblindxfer => #1\n[applicationmap]\n"
        "#include features_callguard.conf\n",
        "queues.conf": _QUEUES,
        "extensions.conf": _EXTENSIONS,
    }


_QUEUES = """[general]
persistentmembers = no

[support]
strategy = ringall
timeout = 20
retry = 1
ringinuse = no
joinempty = yes
member => PJSIP/agent1

[support-local]
strategy = ringall
timeout = 20
retry = 1
ringinuse = no
joinempty = yes
member => Local/101@members/n,0,Agent One,PJSIP/agent1

[callguard-desk]
strategy = ringall
timeout = 20
retry = 1
joinempty = yes
member => PJSIP/desk1,0,The desk
"""

_EXTENSIONS = """[globals]
CALLGUARD_SUPERVISORS = sup1
CALLGUARD_PINS = mori:bb4635e2dcea70c3eac037f91c9f0c2b0a87a9f2

#include extensions_callguard.conf
#include destinations_callguard.conf

[from-outside]
exten => 600,1,Gosub(callguard-guard,s,1(support))
 same => n,Queue(support,tb(callguard-agent^s^1),,,60)
 same => n,Hangup()
exten => 601,1,Gosub(callguard-guard,s,1(support-local))
 same => n,Queue(support-local,tb(callguard-agent^s^1),,,60)
 same => n,Hangup()
exten => 602,1,Gosub(callguard-guard,s,1())
 same => n,Dial(PJSIP/agent1,20,tb(callguard-agent^s^1(PJSIP/agent1)))
 same => n,Hangup()

[members]
exten => 101,1,Dial(PJSIP/agent1,20)

[telephones]
include => callguard-spy
exten => 680,1,Goto(callguard-practice,s,1)
exten => 101,1,Dial(PJSIP/agent1,20,tb(callguard-agent^s^1(PJSIP/agent1)))
exten => 102,1,Dial(PJSIP/agent2,20,tb(callguard-agent^s^1(PJSIP/agent2)))
exten => 701,1,Dial(PJSIP/desk1,20,tb(callguard-agent^s^1(PJSIP/desk1)))
"""


def outside(ports: Ports, guarded: Ports, *, secret: str, records: str) -> dict[str, str]:
    """The outside world: whoever rings the PBX, and the telephones that it rings. records: folder of what is heard."""
    contact = f"sip:127.0.0.1:{guarded.sip}"
    phones = "".join(endpoint(name, context="ringing", contact=contact, more=f"from_user={name}\n") for name in AGENTS)
    trunk = endpoint("pbx", context="ringing", contact=contact)
    return {
        "pjsip.conf": _sip(ports) + trunk + "[pbx]\ntype=identify\nendpoint=pbx\nmatch=127.0.0.1\n\n" + phones,
        "manager.conf": _manager(ports, "", secret),
        "features.conf": "[general]\n[applicationmap]\n",
        "queues.conf": "[general]\n",
        "extensions.conf": _OUTSIDE.replace("@RECORDS@", records),
    }


_OUTSIDE = """[globals]
ANSWER_S = 0.3

[ringing]
; the PBX rings a telephone; with ANSWER_S = no it rings on
exten => _[a-z].,1,UserEvent(SandboxRinging,Phone: ${EXTEN})
 same => n,GotoIf($["${ANSWER_S}" = "no"]?on)
 same => n,Wait(${ANSWER_S})
 same => n,Set(PHONE=${EXTEN})
 same => n,Answer()
 same => n,Goto(up,s,1)
 same => n(on),Ringing()
 same => n,Wait(120)

[up]
; somebody's handset is off the hook: keep what it hears and what it says
exten => s,1,Set(REC=@RECORDS@/${UNIQUEID})
 same => n,MixMonitor(${REC}.both.wav,r(${REC}.heard.wav)t(${REC}.said.wav))
 same => n,UserEvent(SandboxUp,Phone: ${PHONE})
 same => n,Goto(quiet,s,1)

[quiet]
exten => s,1,Wait(3600)

[speak]
exten => s,1,Playback(${SPEECH})
 same => n,UserEvent(SandboxSpoken,Speech: ${SPEECH_ID},Status: ${PLAYBACKSTATUS})
 same => n,Goto(quiet,s,1)
"""


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write settings files, readable by Asterisk alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
