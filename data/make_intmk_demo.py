#!/usr/bin/env python3
# SPDX-License-Identifier: EUPL-1.2
"""Writes intmk-demo.jsonl: the demo conference, „20. IntMK, Vorsitzjahr Niedersachsen 2024/25“.

The institutions are real; every person, address, vote, deadline and text is invented, and no vote says
anything about the position of a real Land. The .jsonl is what counts and is kept in the tree; this
script only makes it reviewable. `data/make_intmk_demo.py --check` fails if the two differ.
"""
import json
import pathlib
import sys

NOTICE = "Demodaten – keine tatsächlichen Beschlüsse"
ZONE = "Europe/Berlin"

LAENDER = """
BW|Baden-Württemberg|Stuttgart|Ministerium für Soziales, Gesundheit und Integration Baden-Württemberg
BY|Bayern|München|Bayerisches Staatsministerium des Innern, für Sport und Integration
BE|Berlin|Berlin|Senatsverwaltung für Arbeit, Soziales, Gleichstellung, Integration, Vielfalt und Antidiskriminierung
BB|Brandenburg|Potsdam|Ministerium des Innern und für Kommunales
HB|Bremen|Bremen|Die Senatorin für Arbeit, Soziales, Jugend und Integration
HH|Hamburg|Hamburg|Behörde für Arbeit, Gesundheit, Soziales, Familie und Integration (Sozialbehörde)
HE|Hessen|Wiesbaden|Hessisches Ministerium für Arbeit, Integration, Jugend und Soziales
MV|Mecklenburg-Vorpommern|Schwerin|Ministerium für Soziales, Gesundheit und Sport Mecklenburg-Vorpommern
NI|Niedersachsen|Hannover|Niedersächsisches Ministerium für Soziales, Arbeit, Gesundheit und Gleichstellung
NW|Nordrhein-Westfalen|Düsseldorf|Ministerium für Kinder, Jugend, Familie, Gleichstellung, Flucht und Integration des Landes Nordrhein-Westfalen
RP|Rheinland-Pfalz|Mainz|Ministerium für Familie, Frauen, Kultur und Integration Rheinland-Pfalz
SL|Saarland|Saarbrücken|Ministerium für Arbeit, Soziales, Frauen und Gesundheit
SN|Sachsen|Dresden|Sächsisches Staatsministerium für Soziales, Gesundheit und Gesellschaftlichen Zusammenhalt
ST|Sachsen-Anhalt|Magdeburg|Ministerium für Arbeit, Soziales, Gesundheit und Gleichstellung des Landes Sachsen-Anhalt
SH|Schleswig-Holstein|Kiel|Ministerium für Soziales, Jugend, Familie, Senioren, Integration und Gleichstellung des Landes Schleswig-Holstein
TH|Thüringen|Erfurt|Thüringer Ministerium für Justiz, Migration und Verbraucherschutz
"""
KEYS = [line.split("|")[0] for line in LAENDER.strip().splitlines()]

# A ministry that changed in mid-term: the Land's seat and vote stay. (id, Land, last day, new from, name)
CHANGES = [
    ("Z1", "BB", "2024-12-10", "2024-12-11", "Ministerium für Soziales, Gesundheit, Integration und Verbraucherschutz"),
    ("Z2", "TH", "2024-12-12", "2024-12-13", "Thüringer Ministerium für Migration, Justiz und Verbraucherschutz"),
]

# key|Land|role|name (prefix;given;family;sort)|function|e-mail|vote
PEOPLE = """
P-BW-M|BW|mitglied|Dr.;Ada;Beispiel-Ahrens|Ministerin/Minister|hausleitung@bw.example.org|ja
P-BY-M|BY|mitglied|;Benedikt;Mustermaier|Staatsministerin/Staatsminister|hausleitung@by.example.org|ja
P-BE-M|BE|mitglied|;Ceyda;Şahin-Beispiel|Senatorin|hausleitung@be.example.org|ja
P-BB-M|BB|mitglied|;Dörte;Musterow|Ministerin/Minister|hausleitung@bb.example.org|ja
P-HB-M|HB|mitglied|;Ebba;Beispiel-Lührs|Senatorin|hausleitung@hb.example.org|ja
P-HH-M|HH|mitglied|;Finn;von Musterkamp;Musterkamp|Senator|hausleitung@hh.example.org|ja
P-HE-M|HE|mitglied|;Greta;Weiß-Beispiel|Ministerin|hausleitung@he.example.org|ja
P-MV-M|MV|mitglied|Prof. Dr.;Hanno;Musterfeld|Ministerin/Minister|hausleitung@mv.example.org|ja
P-NI-M|NI|mitglied|Dr.;Imke;Beispiel-Öhlmann|Ministerin/Minister|hausleitung@ni.example.org|ja
P-NW-M|NW|mitglied|;Jale;Muster-Özdemir|Ministerin/Minister|hausleitung@nw.example.org|ja
P-RP-M|RP|mitglied|;Karl-Heinz;Beispiel-Müller|Ministerin/Minister|hausleitung@rp.example.org|ja
P-SL-M|SL|mitglied|;Lucie;Muster-Lefèvre|Ministerin/Minister|hausleitung@sl.example.org|ja
P-SN-M|SN|mitglied|;Miroslav;Beispielsky|Staatsminister|hausleitung@sn.example.org|ja
P-ST-M|ST|mitglied|;Nele;Muster-Groß|Ministerin/Minister|hausleitung@st.example.org|ja
P-SH-M|SH|mitglied|;Øyvind;Beispiel-Jensen|Ministerin/Minister|hausleitung@sh.example.org|ja
P-TH-M|TH|mitglied|;Phương;Nguyễn-Muster|Ministerin/Minister|hausleitung@th.example.org|ja
P-BW-R|BW|referat|;Anke;Beispiel|Referatsleitung Integration|integration@bw.example.org|nein
P-BY-R|BY|referat|;Bruno;Beispiel|Referatsleitung Integration|integration@by.example.org|nein
P-BE-R|BE|referat|;Carla;Beispiel|Referatsleitung Integration|integration@be.example.org|nein
P-BB-R|BB|referat|;Dirk;Beispiel|Referatsleitung Integration|integration@bb.example.org|nein
P-HB-R|HB|referat|;Elif;Beispiel|Referatsleitung Integration|integration@hb.example.org|nein
P-HH-R|HH|referat|;Fabian;Beispiel|Referatsleitung Integration|integration@hh.example.org|nein
P-HE-R|HE|referat|;Gül;Beispiel|Referatsleitung Integration|integration@he.example.org|nein
P-MV-R|MV|referat|;Hilke;Beispiel|Referatsleitung Integration|integration@mv.example.org|nein
P-NI-R|NI|referat|;Ingo;Beispiel|Referatsleitung Integration|integration@ni.example.org|nein
P-NW-R|NW|referat|;Jasna;Beispiel|Referatsleitung Integration|integration@nw.example.org|nein
P-RP-R|RP|referat|;Kerstin;Beispiel|Referatsleitung Integration|integration@rp.example.org|nein
P-SL-R|SL|referat|;Lars;Beispiel|Referatsleitung Integration|integration@sl.example.org|nein
P-SN-R|SN|referat|;Maja;Beispiel|Referatsleitung Integration|integration@sn.example.org|nein
P-ST-R|ST|referat|;Nico;Beispiel|Referatsleitung Integration|integration@st.example.org|nein
P-SH-R|SH|referat|;Okka;Beispiel|Referatsleitung Integration|integration@sh.example.org|nein
P-TH-R|TH|referat|;Petra;Beispiel|Referatsleitung Integration|integration@th.example.org|nein
P-NI-GS1|NI|geschaeftsstelle|;Quirin;Muster|Leitung Geschäftsstelle IntMK|gs@intmk.example.org|nein
P-NI-GS2|NI|geschaeftsstelle|;Ragnhild;Muster|Sachbearbeitung Geschäftsstelle|gs@intmk.example.org|nein
P-NW-GS1|NW|geschaeftsstelle_kuenftig|;Sinan;Muster|Aufbaustab Geschäftsstelle 2025/26|gs-nw@intmk.example.org|nein
P-BW-ST|BW|stellvertretung|;Theo;Beispiel-Stark|Ministerialdirektor, vertritt das Mitglied am 24.04.2025|amtschef@bw.example.org|vertretung
P-BU-1|BUND|gast|;Ulrike;Beispiel-Bund|Bundesministerium (Integration), Gast|gast1@bund.example.org|nein
P-BU-2|BUND|gast|;Viktor;Beispiel-Bund|Beauftragte/r der Bundesregierung für Migration, Flüchtlinge und Integration, Gast|gast2@bund.example.org|nein
P-BU-3|BUND|gast|;Wanda;Beispiel-Bund|Begleitung, nur TOP 2.x|gast3@bund.example.org|nein
P-AG-1|BE|ag_leitung|;Xenia;Muster|AG „Indikatorenentwicklung und Monitoring“ (Co-Federführung)|ag-monitoring@intmk.example.org|nein
P-NI-IT|NI|it_admin|;Yannick;Muster|Rechenzentrum|it@ni.example.org|nein
"""

# key|body|title|start|end|place|level|status
MEETINGS = """
M1|Herbsttreffen|Herbsttreffen der 20. IntMK|2024-09-10T13:00|2024-09-11T13:00|Hannover|fachliche Arbeitsebene|bestätigt
M2|Vorkonferenz|Vorkonferenz der 20. IntMK|2025-03-19T10:30|2025-03-20T13:00|Hannover|fachliche Arbeitsebene|bestätigt
M3|Hauptkonferenz|Hauptkonferenz der 20. IntMK|2025-04-23T11:00|2025-04-24T13:00|Göttingen|Ministerebene|bestätigt
M4|AG|länderoffene AG „Indikatorenentwicklung und Monitoring“|2025-01-14T10:00|2025-01-14T15:00|Videokonferenz|Arbeitsebene|bestätigt
M5|Sonderkonferenz|Sonderkonferenz (abgesagt)|2025-05-20T09:00|2025-05-20T11:00|Videokonferenz|Ministerebene|abgesagt
M6|Übergabe|Übergabe des Vorsitzes NI → NW|2025-07-01T00:00|2025-07-01T00:00||Vorsitz|bestätigt
"""

# key|title|due|about|effect; 24:00 is the midnight that follows, shown as „24 Uhr“
DEADLINES = """
F1|Anmeldung von Tagesordnungspunkten|2025-01-22T24:00|M2|danach nur mit Zustimmung aller Länder (Tischvorlage)
F2|Beschlussvorschläge mit Begründung|2025-02-12T24:00|M2|Fassung v1 eingefroren
F3|Einladung Vorkonferenz|2025-02-19|M2|Versand Geschäftsstelle
F4|Einladung Hauptkonferenz (5 Wochen)|2025-03-19|M3|Versand Geschäftsstelle
F5|Änderungsanträge nach der Vorkonferenz|2025-04-02T24:00|M3|danach nur Tischvorlage
F6|Votierte Beschlussempfehlungen + Grüne Liste|2025-04-09|M3|Blockabstimmung vorbereitet
F7|Protokollerklärungen nachreichen|2025-04-30T24:00|M3|danach Niederschrift endgültig
F8|Niederschrift: Widerspruchsfrist|2025-05-15T24:00|M3|Schweigen = Genehmigung (Demo-Regel)
F9|Umlaufverfahren U1: Votum|2025-06-13T12:00|U1|danach stellt der Vorsitz das Ergebnis fest
F10|Datenübergabe an NW abgeschlossen|2025-06-30T24:00|M6|Hub-Wechsel
"""

# number|title|status|list: what has no resolution
MORE_ITEMS = """
0.1|Genehmigung der Tagesordnung|behandelt|
0.2|Genehmigung der Niederschrift der 19. IntMK|behandelt|
0.3|Grüne Liste|behandelt|
1a|Göttinger Erklärung|behandelt|
2.5|(zurückgezogen)|zurückgezogen|
6|Bericht des Bundes|behandelt|
7|Kamingespräch|behandelt|
"""

ALL = "*"  # alle Länder
RELEASED = {"decision": True, "report": True, "annexes": True}
COUNT13 = {"majority": "anzahl", "threshold": 13, "base": "alle"}
# key, number, title, originators, co-originators, list, votes in the order of LAENDER, conditions, outcome, release,
# Ziffern, reasons
RESOLUTIONS = [
    ("R01", "1", "Leitantrag „Zusammen leben – zusammen arbeiten“", ["NI"], ALL, "", "JJJJJJJJJJJJJJJJ", COUNT13,
     "angenommen", RELEASED,
     ["Die Länder bekennen sich zu einer Integrationspolitik, die Teilhabe von Anfang an ermöglicht und Arbeit als "
      "Schlüssel zu einem selbstbestimmten Leben versteht.",
      "Sie kommen überein, Sprachförderung, Ausbildung und den Einstieg in den Beruf enger zu verzahnen und gute "
      "Ansätze der Länder einander zugänglich zu machen.",
      "Sie bitten den Bund, Maßnahmen an den Schnittstellen von Integrationskurs, Berufssprachkurs und Ausbildung mit "
      "den Ländern abzustimmen, bevor sie geändert werden.",
      "Die IntMK bittet das Vorsitzland, den Beschluss der MPK, der ASMK und der KMK zu übermitteln."],
     "Gelingende Integration entscheidet sich im Alltag: in der Kita, im Betrieb, im Verein. Der Leitantrag bündelt die "
     "Vorhaben des Vorsitzjahres."),
    ("R02", "2.1", "Verlässliche Finanzierung der Sprachförderung als gemeinsame Aufgabe", ["SL"], ALL, "",
     "EJJJJJJJJJJJJJJJ", COUNT13, "angenommen", RELEASED,
     ["Die Länder stellen fest, dass Sprachförderung eine gemeinsame Aufgabe von Bund, Ländern und Kommunen ist.",
      "Sie bitten den Bund, die Mittel für Integrationskurse in der mittelfristigen Finanzplanung zu verstetigen.",
      "Sie bitten den Bund, bis zur 21. IntMK über die Auslastung der Kurse in ländlichen Regionen zu berichten."],
     "Träger brauchen Planungssicherheit über das Haushaltsjahr hinaus, um Lehrkräfte zu halten."),
    ("R03", "2.2", "Migration und Teilhabe in ländlichen Räumen", ["NI"], ["BB", "MV", "ST"], "Grüne Liste",
     "JJJJJJJJJJJJJJJJ", COUNT13, "angenommen", RELEASED,
     ["Die Länder betonen, dass Zuwanderung für ländliche Räume eine Chance ist, wenn Wohnen, Mobilität und Beratung "
      "zusammen gedacht werden.",
      "Sie vereinbaren einen Erfahrungsaustausch über aufsuchende Beratung und mobile Kursangebote.",
      "Sie bitten den Bund, digitale Zugänge zu Beratungsangeboten dauerhaft zu fördern."],
     "Entfernungen, nicht fehlender Wille, verhindern in der Fläche häufig die Teilnahme."),
    ("R04", "2.3", "Fortentwicklung der Migrationsberatung", ["NW"], ["RP", "TH"], "", "JNEEJJJJJJJJJJJJ", COUNT13,
     "angenommen", RELEASED,
     ["Die Länder bekräftigen die Bedeutung einer verlässlichen und flächendeckenden Migrationsberatung.",
      "Sie bitten den Bund, die Migrationsberatung bedarfsgerecht zu finanzieren.",
      "Die IntMK bittet das Vorsitzland, den Beschluss zu übermitteln."],
     "Die Nachfrage nach Beratung ist gestiegen; die Stellen sind seit Jahren gleich geblieben."),
    ("R05", "2.4a", "Zugewanderte Frauen in Ausbildung und Arbeit (Länderteil)", ["HH"], ["HB", "SH"], "Grüne Liste",
     "JJJJJJJJJJJJJJJJ", COUNT13, "angenommen", RELEASED,
     ["Die Länder werden ihre Angebote für zugewanderte Frauen stärker mit Kinderbetreuung verbinden.",
      "Sie werden Mentoring-Programme auswerten und die Ergebnisse bis zum Herbsttreffen 2025 zusammentragen.",
      "Sie bitten die Kommunen, Erstberatung auch an Kitas und Familienzentren anzubieten."],
     "Frauen steigen im Mittel später in Kurs und Beruf ein als Männer, obwohl ihre Abschlüsse nicht geringer sind."),
    ("R06", "2.4b", "Zugewanderte Frauen in Ausbildung und Arbeit (Bitte an den Bund)", ["HH"], ["HB", "SH"], "",
     "JJJJE-JJJJJJJJJJ", COUNT13, "angenommen", {"decision": True},
     ["Die Länder bitten den Bund, kursbegleitende Kinderbetreuung wieder regelhaft zu fördern.",
      "Sie bitten den Bund, Teilzeitformate der Berufssprachkurse auszubauen."],
     "Ohne Betreuung bleibt der Kursplatz leer."),
    ("R07", "3.1", "Gemeinsame Eckpunkte zur Anerkennung beruflicher Abschlüsse", ["HE"], ["SN"], "",
     "JJJJJJNNNEJJJJJJ", COUNT13, "nicht-zustande-gekommen", None,
     ["Die Länder verständigen sich auf gemeinsame Eckpunkte für Anerkennungsverfahren: eine Eingangsbestätigung binnen "
      "einer Woche, digitale Anträge, einheitliche Merkblätter.",
      "Sie streben an, Gutachten anderer Länder ohne erneute Prüfung zu übernehmen.",
      "Sie bitten die Fachministerkonferenzen um Prüfung bis zum Jahresende."],
     "Antragstellende erleben je nach Land verschiedene Anforderungen für denselben Beruf."),
    ("R08", "3.2", "Beschleunigung der Verfahren zur Fachkräfteeinwanderung", ["BW"], ["BY", "NI"], "",
     "JJJJJJJJJJNJJJJJ", COUNT13, "angenommen", RELEASED,
     ["Die Länder bitten den Bund, die Verfahren der Auslandsvertretungen und Ausländerbehörden durchgängig digital "
      "zu führen.",
      "Sie werden zentrale Zuständigkeiten für das beschleunigte Fachkräfteverfahren prüfen.",
      "Die IntMK bittet das Vorsitzland, den Beschluss der IMK und der WMK zu übermitteln."],
     "Zwischen Vertrag und Einreise vergehen oft mehr als sechs Monate."),
    ("R09", "3.3", "Digitale Lernangebote für Integrationskurse", ["SN"], ALL, "Grüne Liste", "JJJJJJJJJJJJJJJJ",
     COUNT13, "angenommen", RELEASED,
     ["Die Länder befürworten digitale und hybride Formate als Ergänzung zum Präsenzkurs.",
      "Sie bitten den Bund, Lernplattformen barrierefrei und datensparsam bereitzustellen.",
      "Sie regen an, Geräte über Bibliotheken zu verleihen."],
     "Digitale Angebote erreichen Schichtarbeitende und Eltern kleiner Kinder."),
    ("R10", "A1", "8. Bericht zum Integrationsmonitoring der Länder (Kenntnisnahme) [DEMO]", [], ALL, "Grüne Liste",
     "JJJJJJJJJJJJJJJJ", {"majority": "kenntnisnahme"}, "zur-kenntnis-genommen", RELEASED,
     ["Die IntMK nimmt den 8. Bericht zum Integrationsmonitoring der Länder zur Kenntnis.",
      "Sie dankt der länderoffenen AG „Indikatorenentwicklung und Monitoring“ und bittet um Fortschreibung.",
      "Der Bericht wird veröffentlicht."],
     ""),
    ("R11", "4.1", "Fortführung der Beteiligung am Bund-Länder-Integrationsbarometer (BLIB)", ["NI"], ["NW"], "",
     "JJJJJJJJJJJEEJJJ", {"majority": "einstimmig", "base": "alle"}, "nicht-zustande-gekommen", None,
     ["Die Länder setzen ihre Beteiligung am Bund-Länder-Integrationsbarometer für weitere vier Jahre fort.",
      "Die Kosten werden nach dem Königsteiner Schlüssel getragen.",
      "Das Vorsitzland schließt die erforderliche Vereinbarung."],
     "Haushaltswirksame Beschlüsse bedürfen der Einstimmigkeit (Demo-Regel)."),
    ("R12", "5.1", "Termine und Übergabe des Vorsitzes zum 1. Juli 2025", ["NI"], ["NW"], "", "JJJJJJJJJJJJJJJJ",
     {"majority": "einfach", "base": "abstimmende"}, "angenommen", RELEASED,
     ["Der Vorsitz der IntMK geht am 1. Juli 2025 auf Nordrhein-Westfalen über.",
      "Die Geschäftsstelle übergibt Unterlagen und Daten bis zum 30. Juni 2025, 24 Uhr.",
      "Nordrhein-Westfalen lädt zur 21. IntMK ein und teilt die Termine bis zum Herbsttreffen mit."],
     "Verfahrensbeschluss."),
]

U1_VOTES = "JJJJJ?JJJJJJJJE?"


def rows(table):
    return [line.split("|") for line in table.strip().splitlines()]


def when(start, end=""):
    value = {"start": start}
    if end:
        value["end"] = end
    if "T" in start:
        value["zone"] = ZONE
    return value


def recorded(votes):
    return {land: {"-": "A"}.get(vote, vote) for land, vote in zip(KEYS, votes) if vote != "?"}


def result(votes, outcome, explanation):
    counts = {"yes": votes.count("J"), "no": votes.count("N"), "abstentions": votes.count("E"),
              "absent": votes.count("-"), "unanswered": votes.count("?")}
    return {"outcome": outcome, **{name: count for name, count in counts.items() if count},
            "explanation": explanation}


def explain(votes, conditions):
    spoken = f"{votes.count('J')}:{votes.count('N')}:{votes.count('E')}"
    if votes.count("-"):
        spoken += f" ({votes.count('-')} abwesend)"
    if votes.count("?"):
        spoken += f", {votes.count('?')} offen"
    rule = {"anzahl": f"erforderlich waren {conditions.get('threshold')} Ja-Stimmen",
            "einfach": "erforderlich war die einfache Mehrheit der Abstimmenden",
            "einstimmig": "erforderlich war Einstimmigkeit aller 16 Länder",
            "kenntnisnahme": "Kenntnisnahme ohne Mehrheitserfordernis"}[conditions["majority"]]
    return f"Ja:Nein:Enthaltung {spoken}; {rule}."


def organizations():
    changed = {land: (key, until, start, name) for key, land, until, start, name in CHANGES}
    for land, region, seat, name in rows(LAENDER):
        common = {"member": land, "classification": "Ministerium", "region": region, "seat": seat}
        valid = {"from": "2024-07-01"}
        if land in changed:
            key, until, start, old = changed[land]
            yield {"kind": "organization", "key": f"O-{land}-{key}", "name": old, **common,
                   "validity": {"from": "2024-07-01", "until": until}}
            common["predecessor"] = f"@O-{land}-{key}"
            valid = {"from": start}
        record = {"kind": "organization", "key": f"O-{land}", "name": name, **common, "validity": valid}
        if land == "NI":
            record["address"] = {"street": "Hannah-Arendt-Platz 2", "postcode": "30159", "city": "Hannover"}
        yield record
    yield {"kind": "organization", "key": "O-BUND", "name": "Bund (Gäste der IntMK)", "member": "BUND",
           "classification": "Gast", "region": "Bund", "seat": "Berlin", "validity": {"from": "2024-07-01"}}
    yield {"kind": "organization", "key": "O-GS", "name": "Geschäftsstelle der IntMK", "member": "NI",
           "classification": "Geschäftsstelle", "parent": "@O-NI", "emails": ["gs@intmk.example.org"],
           "validity": {"from": "2024-07-01", "until": "2025-06-30"}}
    yield {"kind": "organization", "key": "O-AG-INDMON",
           "name": "Länderoffene AG „Indikatorenentwicklung und Monitoring“", "short_name": "AG IndMon",
           "classification": "Arbeitsgruppe", "emails": ["ag-monitoring@intmk.example.org"]}


def people():
    for key, land, role, name, function, email, vote in rows(PEOPLE):
        prefix, given, family, *sort = name.split(";")
        parts = {"family": family, "given": given}
        if prefix:
            parts["prefix"] = prefix
        if sort:
            parts["sort_as"] = sort[0]
        organization = {"geschaeftsstelle": "O-GS", "ag_leitung": "O-AG-INDMON"}.get(role, f"O-{land}")
        membership = {"organization": f"@{organization}", "member": land, "role": role, "function": function}
        if vote != "nein":
            membership["votes"] = True
        if vote == "vertretung":
            membership["deputy_for"] = f"@P-{land}-M"
            membership["validity"] = {"from": "2025-04-24", "until": "2025-04-24"}
        yield {"kind": "person", "key": key, "name": " ".join(p for p in (prefix, given, family) if p),
               "name_parts": parts, "memberships": [membership],
               "emails": [{"address": email, "type": "dienstlich"}]}


def meetings():
    for key, body, title, start, end, place, level, status in rows(MEETINGS):
        record = {"kind": "meeting", "key": key, "title": title, "body": body, "when": when(start, end),
                  "status": status, "level": level, "session": "20. IntMK", "organizer": "@O-NI"}
        if place:
            record["place"] = {"name": place} if place == "Videokonferenz" else {"city": place}
        yield record


def deadlines():
    for key, title, due, about, effect in rows(DEADLINES):
        yield {"kind": "event", "key": key, "title": title, "type": "Frist", "when": when(due),
               "status": "bestätigt", "about": f"@{about}", "effect": effect, "responsible": ["NI"]}


def agenda():
    for number, title, status, _ in rows(MORE_ITEMS):
        record = {"kind": "agenda-item", "key": f"T-{number}", "meeting": "@M3", "number": number, "title": title,
                  "status": status}
        if number == "0.3":
            record["description"] = "Blockabstimmung über TOP 2.2, 2.4a, 3.3 und A1."
        if number == "1a":
            record["documents"] = ["@D-1a"]
        if number == "2.5":
            record["description"] = "Vom antragstellenden Land zurückgezogen; die Nummer bleibt frei."
        if number == "7":
            # Nobody but the chair's Land gets it.
            record.update(without_minutes=True, closed=True, audience="land:NI")
        yield record
    for key, number, title, originators, _, group, *_ in RESOLUTIONS:
        record = {"kind": "agenda-item", "key": f"T-{number}", "meeting": "@M3", "number": number, "title": title,
                  "status": "behandelt", "resolution": f"@{key}"}
        if originators:
            record["originators"] = originators
        if group:
            record["list"] = group
        yield record


def resolutions():
    for key, number, title, originators, others, group, _, _, outcome, release, items, reasons in RESOLUTIONS:
        record = {"kind": "resolution", "key": key, "title": title, "number": number, "meeting": "@M3",
                  "agenda_item": f"@T-{number}"}
        if originators:
            record["originators"] = originators
        else:
            record["originating_body"] = "AG IndMon"
        record["co_originators"] = [land for land in KEYS if land not in originators] if others == ALL else others
        record["items"] = items
        if reasons:
            record["reasons"] = reasons
        if group:
            record["list"] = group
        record["stage"] = "final"
        record["outcome"] = outcome
        if release:
            record["release"] = release
        yield record


def ballots():
    for key, number, title, _, _, group, votes, conditions, outcome, *_ in RESOLUTIONS:
        if group:
            continue
        yield {"kind": "ballot", "key": f"B-{key}", "title": title, "number": number, "mode": "sitzung",
               "meeting": "@M3", "resolutions": [f"@{key}"], "conditions": conditions,
               "votes_recorded": recorded(votes), "result": result(votes, outcome, explain(votes, conditions))}
    block = [row for row in RESOLUTIONS if row[5]]
    votes = block[0][6]
    assert all(row[6] == votes for row in block)
    yield {"kind": "ballot", "key": "B-GL", "title": "Grüne Liste", "number": "0.3", "mode": "block",
           "meeting": "@M3", "resolutions": [f"@{row[0]}" for row in block], "conditions": COUNT13,
           "votes_recorded": recorded(votes),
           "result": result(votes, "angenommen", explain(votes, COUNT13) + " Eine Abstimmung, vier Beschlüsse; A1 wird "
                            "zur Kenntnis genommen.")}
    conditions = {**COUNT13, "silence": "keine-stimme", "opens_ms": "2025-05-30T09:00:00+02:00",
                  "closes_ms": "2025-06-13T12:00:00+02:00"}
    yield {"kind": "ballot", "key": "U1", "title": "Stellungnahme zum Entwurf der Integrationskursverordnung",
           "mode": "umlauf",
           "question": "Stimmt das Land dem Entwurf der Stellungnahme zur Integrationskursverordnung zu?",
           "conditions": conditions, "votes_recorded": recorded(U1_VOTES),
           "result": result(U1_VOTES, "angenommen", explain(U1_VOTES, conditions) + " Schweigen ist keine "
                            "Stimmabgabe: die beiden offenen Stimmen zählen nicht.")}


def declarations():
    yield {"kind": "declaration", "key": "PE-1", "title": "Protokollerklärung Bayerns zu TOP 2.3",
           "resolution": "@R04", "member": "BY", "date": "2025-04-24",
           "recorded_text": "Der Freistaat Bayern stimmt Ziffer 2 nicht zu, weil die Finanzierung der "
                            "Migrationsberatung unter dem Vorbehalt verfügbarer Haushaltsmittel stehen muss."}
    yield {"kind": "declaration", "key": "PE-2", "title": "Protokollerklärung von Rheinland-Pfalz zu TOP 3.2",
           "resolution": "@R08", "member": "RP", "date": "2025-04-24",
           "recorded_text": "Rheinland-Pfalz erklärt, dass die Beschleunigung der Verfahren nicht zulasten der Beratung "
                            "der Antragstellenden gehen darf.",
           "recorded_joinings": ["HB", "HH"]}


def documents():
    yield {"kind": "document", "key": "D-1a", "number": "1a", "type": "Erklärung", "date": "2025-04-24",
           "title": "Göttinger Erklärung: Erfolgreiche Integrationspolitik erfordert Weitsicht und konsequentes "
                    "Handeln", "meeting": "@M3", "agenda_item": "@T-1a", "originators": ["NI"], "language": "de",
           "text": "Demodaten: Der Wortlaut der Erklärung ist hier nicht wiedergegeben.", "released": True}


def lines():
    yield {"staffel": "import", "version": 1, "dataset": "intmk-demo", "notice": NOTICE}
    for part in (organizations, people, meetings, agenda, resolutions, ballots, deadlines, declarations, documents):
        yield from part()


def main():
    target = pathlib.Path(__file__).with_name("intmk-demo.jsonl")
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines())
    if sys.argv[1:] == ["--check"]:
        if target.read_text(encoding="utf-8") != text:
            print(f"{target.name} is not what this script makes: run it again and look at the difference")
            return 1
        return 0
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
