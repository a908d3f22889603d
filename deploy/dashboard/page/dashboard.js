(() => {
  // ../../edge_agent/web/assets/dom.js
  var byId = (id) => document.getElementById(id);
  function el(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name2, value] of Object.entries(properties)) {
      if (value === void 0 || value === null) continue;
      if (name2 === "class") node.className = value;
      else if (name2.includes("-") || name2 === "for" || name2 === "role") node.setAttribute(name2, value);
      else node[name2] = value;
    }
    node.append(...children.filter((child) => child !== null && child !== void 0));
    return node;
  }
  function show(node, visible) {
    node.hidden = !visible;
  }

  // src/ring.js
  var Ring = class {
    #items = [];
    #next = 0;
    #capacity;
    constructor(capacity) {
      this.#capacity = capacity;
    }
    get capacity() {
      return this.#capacity;
    }
    get size() {
      return this.#items.length;
    }
    get oldest() {
      return this.#items[this.#items.length < this.#capacity ? 0 : this.#next];
    }
    add(item) {
      this.#items[this.#next] = item;
      this.#next = (this.#next + 1) % this.#capacity;
    }
    /** The newest items that a test lets through, the newest first; at most so many. */
    newest(most = Infinity, wanted2 = () => true) {
      const found = [];
      for (let back = 1; back <= this.#items.length && found.length < most; back += 1) {
        const item = this.#items[(this.#next - back + this.#capacity) % this.#capacity];
        if (wanted2(item)) found.push(item);
      }
      return found;
    }
  };

  // src/alarms.js
  var KEPT = 100;
  var Alarms = class {
    entries = new Ring(KEPT);
    unseen_count = 0;
    /** The serious findings of each device that was seen working. */
    #known = /* @__PURE__ */ new WeakMap();
    /** Compare a device's findings with those before: a device that was never seen working raises nothing. Returns the new ones. */
    look(device, found, { now_ms, at_ms }) {
      const serious = found.filter((each) => each.level === "serious");
      const keys = new Set(serious.map((each) => `${each.code} ${each.own?.code ?? ""}`));
      const before = this.#known.get(device);
      if (before === void 0 && !device.liveness.present(now_ms)) return [];
      this.#known.set(device, keys);
      if (before === void 0) return [];
      const fresh = serious.filter((each) => !before.has(`${each.code} ${each.own?.code ?? ""}`));
      for (const finding of fresh) this.#raise({ at_ms, key: device.key, site: device.site, name: device.name, finding });
      return fresh;
    }
    /** The page itself lost its broker: nobody is watched. */
    away(at_ms) {
      this.#raise({ at_ms, key: null, finding: { code: "away", level: "serious" } });
    }
    #raise(entry) {
      this.entries.add(entry);
      this.unseen_count += 1;
    }
    seen() {
      this.unseen_count = 0;
    }
  };

  // src/format.js
  var made = /* @__PURE__ */ new Map();
  var language = null;
  function formatter(Kind, name2, options) {
    if (language !== document.documentElement.lang) {
      made.clear();
      language = document.documentElement.lang;
    }
    if (!made.has(name2)) {
      const locale = navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
      made.set(name2, new Kind(locale, options));
    }
    return made.get(name2);
  }
  var whole = (value) => formatter(Intl.NumberFormat, "whole", { maximumFractionDigits: 0 }).format(value);
  var number = (value) => formatter(Intl.NumberFormat, "number", { maximumSignificantDigits: 3 }).format(value);
  var percent = (ratio) => formatter(Intl.NumberFormat, "percent", {
    style: "percent",
    minimumFractionDigits: 1,
    maximumFractionDigits: 1
  }).format(ratio);
  var clock = (at_ms) => formatter(Intl.DateTimeFormat, "clock", { timeStyle: "medium", hourCycle: "h23" }).format(at_ms);
  var moment = (at_ms) => formatter(Intl.DateTimeFormat, "moment", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(at_ms);
  var DAY_MS = 864e5;
  var when = (at_ms) => Math.abs(Date.now() - at_ms) < DAY_MS / 2 ? clock(at_ms) : moment(at_ms);
  function span(duration_s) {
    const [unit, seconds] = duration_s < 120 ? ["second", 1] : duration_s < 7200 ? ["minute", 60] : duration_s < 172800 ? ["hour", 3600] : ["day", 86400];
    return formatter(Intl.NumberFormat, unit, { style: "unit", unit, maximumFractionDigits: 0 }).format(duration_s / seconds);
  }

  // src/locales/de.json
  var de_default = {
    notice: "Nur für die Forschung. Kein Medizinprodukt; kein Ergebnis darf für eine Diagnose verwendet werden.",
    "nav.label": "Ansichten",
    "nav.skip": "Zum Inhalt",
    "nav.overview": "Übersicht",
    "nav.device": "Gerät",
    "nav.readings": "Auswertungen",
    "nav.reports": "Berichte",
    "nav.report": "Bericht",
    "nav.alarms": "Alarme",
    "nav.page": "Diese Seite",
    "link.off": "Nicht verbunden",
    "link.connecting": "Wird verbunden …",
    "link.on": "Verbunden",
    "link.away": "Verbindung verloren",
    away: "Keine Verbindung zum Broker.",
    "away.remedy": "Es wird nichts überwacht, und alles steht so da, wie es zuletzt war. Die Seite verbindet sich von selbst wieder; prüfen Sie das Netz und den Broker.",
    "connect.title": "Mit dem Broker verbinden",
    "connect.url": "Adresse des WebSocket-Zugangs des Brokers",
    "connect.username": "Benutzername",
    "connect.password": "Passwort",
    "connect.version": "MQTT-Version",
    "connect.version.auto": "5, oder 3.1.1, wenn der Broker 5 nicht kennt",
    "connect.go": "Verbinden",
    "connect.help": "Verwenden Sie ein Konto, das nur lesen darf. Das Passwort bleibt, bis dieser Tab geschlossen wird, und geht nur an den Broker.",
    "connect.url.wrong": "Eine Adresse beginnt mit wss:// oder ws:// und enthält kein Passwort, zum Beispiel wss://broker.example.org/mqtt.",
    "connect.url.plain": "Diese Seite kam über https, deshalb erlaubt der Browser nur Adressen mit wss://.",
    "connect.config": "In config.json steht etwas Unverständliches: {names}. Es wurde ausgelassen.",
    "connect.refused.credentials": "Der Broker nimmt diesen Benutzernamen mit diesem Passwort nicht an.",
    "connect.refused.subscription": "Der Broker lässt diesen Benutzer leukoscope/v1/# nicht lesen. Prüfen Sie seine Zugriffsliste.",
    "state.init": "startet",
    "state.ready": "arbeitet",
    "state.degraded": "Problem",
    "state.sleeping": "pausiert",
    "state.disconnected": "angehalten",
    "state.lost": "verloren",
    "state.silent": "stumm",
    "state.unknown": "unbekannt",
    "mark.demonstration": "Vorführung",
    "mark.provisional": "vorläufig",
    "mark.replayed": "nachgesendet",
    "outcome.classified": "Zugeordnet",
    "outcome.abstained": "Keine Zuordnung",
    "outcome.rejected": "Nicht auswertbar",
    "outcome.failed": "Fehler beim Auswerten",
    "overview.nobody": "Warten auf das erste Gerät …",
    "overview.summary": "Geräte: {devices} · Standorte: {sites} · {states}",
    "overview.counts": "Seit diese Seite offen ist: Auswertungen {results} · Wiederholungen ausgelassen {repeats} · fehlend {missing} · nicht gelesene Nachrichten {unreadable}",
    "overview.attention": "Braucht einen Menschen",
    "overview.none": "Im Augenblick nichts.",
    "overview.more": "Und {count} weitere Geräte, weiter unten in der Tabelle.",
    "overview.devices": "Alle Geräte",
    "overview.site": "{site} · {count}",
    "overview.device": "Gerät",
    "overview.state": "Zustand",
    "overview.model": "Modell",
    "overview.waiting": "Rückstand",
    "overview.latency": "Dauer",
    "overview.refused": "Ohne Klasse, letzte 24 h",
    "overview.refused.of": "{count} von {all}",
    "overview.newest": "Letzte Auswertung",
    "overview.honest": "Rückstand: Nachrichten, die auf den Broker warten, und das Alter der ältesten. Dauer: die Hälfte der neuesten Auswertungen dauerte höchstens so lang. Die Zahlen der letzten 24 Stunden beginnen, wenn diese Seite geöffnet wird.",
    "finding.lost": "Die Verbindung ist abgerissen.",
    "finding.lost.remedy": "Prüfen Sie, ob das Gerät an und im Netz ist. Es behält seine Auswertungen und sendet sie, wenn es wieder da ist.",
    "finding.silent": "Drei Lebenszeichen sind ausgeblieben.",
    "finding.silent.remedy": "Das Gerät oder die Leitung zu ihm steht still. Prüfen Sie Strom und Netz, dann sein Protokoll.",
    "finding.safe_mode": "Das Gerät kann mit seiner Konfiguration nicht starten und wertet nichts aus.",
    "finding.safe_mode.remedy": "Beheben Sie, was hier steht. Es versucht es von selbst wieder.",
    "finding.rival": "Zwei Programme benutzen den Namen dieses Geräts.",
    "finding.rival.remedy": "Geben Sie einem davon einen anderen Standort oder Namen.",
    "finding.check": "{part}: es gibt ein Problem.",
    "finding.degraded": "Das Gerät meldet ein Problem.",
    "finding.degraded.remedy": "Was der Code bedeutet, steht in der Fehlertabelle deploy/contract/errors.md.",
    "finding.refusing": "Keine Klasse in den letzten {count} Auswertungen. Der häufigste Grund: {reason}",
    "finding.refusing.remedy": "{next_step}",
    "finding.backlog": "Nachrichten warten auf den Broker: {waiting}, die älteste seit {age}.",
    "finding.backlog.growing": "Immer mehr Nachrichten warten auf den Broker: {waiting}, die älteste seit {age}.",
    "finding.backlog.remedy": "Die Leitung ist zu langsam oder war lange weg. Wächst der Rückstand weiter, werten Sie seltener aus oder sorgen Sie für eine bessere Leitung.",
    "finding.certificate": "Ein Zertifikat muss erneuert werden.",
    "finding.drift": "Die Felder entfernen sich von denen, an denen sich das Modell bewährt hat.",
    "finding.roll_out.rolled_back": "Das Modell {name} hat versagt; das vorige ist wieder im Einsatz.",
    "finding.roll_out.refused": "Das Modell {name} wurde abgelehnt.",
    "finding.clock": "Die Uhr ist nicht gestellt.",
    "finding.clock.ahead": "Die Uhr des Geräts geht gegenüber diesem Rechner {span} vor.",
    "finding.clock.behind": "Die Uhr des Geräts geht gegenüber diesem Rechner {span} nach.",
    "finding.clock.remedy": "Sorgen Sie dafür, dass das Gerät einen Zeitserver erreicht. Bis dahin sind seine Zeiten nicht mit anderen vergleichbar.",
    "finding.provisional": "Das Modell ist vorläufig: Keine Zahlen belegen, dass es oft genug recht hat. Es nennt keine Klassen.",
    "finding.provisional.remedy": "Verwenden Sie ein Modell, das an genügend Bildern geprüft wurde.",
    "finding.discarded": "Nachrichten, die den Broker nie erreicht haben, seit es die Warteschlange des Geräts gibt: {count}.",
    "finding.discarded.remedy": "Wann und warum, sagen seine Ereignisse. „edge-agent spool export --quarantined“ zeigt die aufbewahrten.",
    "finding.missing": "Nummern von Auswertungen, die nicht angekommen sind: {count}.",
    "finding.missing.remedy": "Sie können noch im Rückstand sein. Hat das Gerät keinen, sagen seine Ereignisse, was aus ihnen wurde.",
    "finding.unknown": "Sein Zustand ist unbekannt.",
    "finding.unknown.remedy": "Der Broker hat keinen Status von ihm. Es war weg, bevor diese Seite geöffnet wurde, oder es darf seinen Status nicht senden.",
    "finding.stopped": "Es wurde von einem Menschen angehalten.",
    "finding.stopped.remedy": "Starten Sie den Dienst, wenn es wieder auswerten soll.",
    "finding.paused": "Die Auswertung ist angehalten.",
    "finding.paused.remedy": "Setzen Sie sie auf seiner eigenen Seite oder mit dem Befehl „resume“ fort.",
    "finding.away": "Diese Seite hat ihren Broker verloren.",
    "part.camera": "Kamera",
    "part.model": "Modell",
    "part.accelerator": "Edge TPU",
    "part.broker": "Broker",
    "part.spool": "Nachrichten",
    "part.disk": "Speicher",
    "part.clock": "Uhr",
    "part.audit": "Prüfprotokoll",
    "part.temperature": "Temperatur",
    "part.power": "Strom",
    "part.pace": "Lesetakt",
    "part.memory": "Arbeitsspeicher",
    "part.speed": "Geschwindigkeit",
    "part.configuration": "Konfiguration",
    "part.certificates": "Zertifikate",
    "check.ok": "in Ordnung",
    "check.degraded": "Problem",
    "check.unknown": "nicht gemessen",
    "device.none": "Von diesem Gerät war nichts zu hören, seit die Seite offen ist.",
    "device.about": "Angaben",
    "device.state": "Zustand",
    "device.heartbeat": "Lebenszeichen, wie hier gesehen",
    "device.started": "Gestartet",
    "device.model": "Modell",
    "device.software": "Software",
    "device.machine": "Rechner",
    "device.cameras": "Kamera",
    "device.slide": "Offenes Präparat",
    "device.slide.of": "{id}, Präparat {slide}: {judged} beurteilt",
    "device.readings": "Auswertungen seit seinem Start",
    "device.waiting": "Rückstand, Ältestes",
    "device.temperature": "Prozessor",
    "device.disk": "Frei auf dem Speicher",
    "device.seen": "Von dieser Seite gesehen",
    "device.seen.of": "{results} Auswertungen, {repeats} Wiederholungen ausgelassen, {missing} fehlend",
    "device.ignored": "Ignorierte alte letzte Willen",
    "device.health": "Prüfungen",
    "device.health.none": "Es war kein Befund zu hören.",
    "device.health.void": "Was es zuletzt über seinen Zustand sagte, gilt nicht mehr.",
    "device.latency": "Dauer je Schritt, ms",
    "latency.stage": "Schritt",
    "latency.p50": "Hälfte höchstens",
    "latency.p95": "95 % höchstens",
    "latency.p99": "99 % höchstens",
    "device.refusals": "Ablehnungen nach Grund",
    "device.refusals.day": "Letzte 24 Stunden, soweit diese Seite offen war:",
    "device.refusals.since": "Seit dem Start des Geräts, nach seiner eigenen Zählung",
    "device.newest": "Letzte Auswertungen",
    "device.reports": "Berichte",
    "device.events": "Ereignisse",
    "table.received": "Empfangen",
    "table.captured": "Aufgenommen",
    "table.device": "Gerät",
    "table.outcome": "Ergebnis",
    "table.reason": "Klasse oder Grund",
    "table.malignant": "Maligne Klassen",
    "table.latency": "Dauer",
    "table.specimen": "Präparat",
    "table.marks": "Vermerke",
    "readings.table": "Tabelle der Auswertungen",
    "readings.none": "Seit diese Seite offen ist, kam keine Auswertung.",
    "readings.cover": "Auswertungen, die diese Seite seit {from} empfangen hat: {count} von insgesamt {all}. Sie behält die neuesten {most}; was kam, bevor sie geöffnet wurde oder während sie lange nicht verbunden war, ist nicht dabei. Alles gibt der Export des Sammlers.",
    "readings.text": "Standort, Gerät, Klasse, Grund oder Probe",
    "readings.outcome": "Ergebnis",
    "readings.any": "alle",
    "readings.save": "Als CSV sichern",
    "readings.saved": "Gesicherte Auswertungen: {count}",
    "readings.newer": "Neuere Auswertungen: {count}. Anzeigen",
    "readings.page": "{from} bis {to}",
    "readings.before": "Zurück",
    "readings.after": "Weiter",
    "reports.none": "Seit diese Seite offen ist, kam kein Bericht.",
    "report.name": "{id}, Präparat {slide}",
    "report.none": "Diese Seite hat diesen Bericht nicht empfangen oder behält ihn nicht mehr.",
    "report.use": "Nur für Forschungszwecke. Kein Medizinprodukt. Dies sind Zählungen von Feldern durch ein Programm, kein Befund über einen Menschen.",
    "report.demonstration": "Dies ist eine Vorführung: Das Modell wurde nicht mit echten Ausstrichen trainiert, und die Zahlen bedeuten nichts.",
    "report.provisional": "Das Modell ist vorläufig: Nichts belegt, dass es oft genug recht hat; seine Klassen wurden zurückgehalten.",
    "report.device": "Gerät",
    "report.began": "Begonnen",
    "report.finished": "Beendet",
    "report.readings": "Auswertungen",
    "report.judged": "Beurteilte Felder",
    "report.of": "{count} von {all}",
    "report.repeated": "Von schon gezählten Feldern",
    "report.outcomes": "Ergebnisse",
    "report.malignant": "Maligne Klassen zusammen",
    "report.model": "Modell",
    "report.models": "Benutzte Modelle",
    "report.software": "Software",
    "report.distribution": "Anteil an den Feldern mit Klasse; der Strich ist das 95-%-Intervall",
    "report.label": "Klasse",
    "report.fields": "Felder",
    "report.share": "Anteil",
    "report.interval_head": "Mit 95-%-Intervall",
    "report.interval": "{share} ({low} bis {high})",
    "report.malignant_class": "eine maligne Klasse des Modells, kein Befund",
    "report.no_labels": "Kein Feld bekam eine Klasse.",
    "report.interval_note": "Die Intervalle sind Score-Intervalle nach Wilson zu 95 %. Sie sagen, was der Zufall bei der Wahl der Felder an einem Anteil ändern kann. Fehler des Modells sind nicht darin, und Felder eines Präparats ähneln einander.",
    "report.refusals": "Warum Felder keine Klasse bekamen",
    "report.back": "Alle Berichte",
    "alarms.help": "Ein Alarm entsteht, wenn ein Gerät, das schon gearbeitet hat, ein ernstes Problem bekommt, und wenn diese Seite ihren Broker verliert. Der Ton ist aus, bis Sie ihn einschalten, und nach jedem Neuladen wieder aus. Er ertönt nur, solange die Seite offen und der Rechner wach ist.",
    "alarms.new": "Neue Alarme: {count}",
    "alarms.seen": "Gesehen",
    "alarms.none": "Kein Alarm, seit diese Seite offen ist.",
    "sound.on": "Ton einschalten",
    "sound.off": "Ton ausschalten",
    "page.connection": "Verbindung",
    "page.broker": "Broker",
    "page.user": "Benutzername",
    "page.version": "MQTT-Version",
    "page.messages": "Empfangene Nachrichten",
    "page.results": "Auswertungen",
    "page.repeats": "Ausgelassene Wiederholungen",
    "page.missing": "Fehlende Nummern",
    "page.left_out": "Nachrichten von Geräten jenseits der ersten 5.000",
    "page.log_out": "Trennen und Passwort vergessen",
    "page.language": "Sprache",
    "page.theme": "Farben",
    "page.theme.auto": "Wie das System",
    "page.theme.light": "Hell",
    "page.theme.dark": "Dunkel",
    "unreadable.title": "Nicht gelesene Nachrichten",
    "unreadable.help": "Sie ändern sonst nichts auf dieser Seite.",
    "unreadable.none": "Keine.",
    "unreadable.newest": "Die neuesten davon",
    "unreadable.foreign": "Topic eines anderen Produkts",
    "unreadable.future": "Eine spätere Version des Schemas",
    "unreadable.damaged": "Beschädigt: kein JSON",
    "unreadable.too_large": "Zu groß",
    "unreadable.invalid": "Nicht, wie ihr Schema es sagt",
    "reason.unfamiliar.short": "unbekannt",
    "reason.low_confidence.short": "unsicher",
    "reason.model_unproven.short": "Modell unbelegt",
    "reason.blurred.short": "unscharf",
    "reason.moving.short": "bewegt",
    "reason.under_exposed.short": "zu dunkel",
    "reason.over_exposed.short": "zu hell",
    "reason.colour_cast.short": "farbstichig",
    "reason.no_colour.short": "ohne Farbe",
    "reason.empty_field.short": "leeres Feld",
    "reason.no_nucleated_cells.short": "keine kernhaltigen Zellen",
    "reason.field_too_small.short": "zu wenige Pixel",
    "reason.cell_cut.short": "am Rand abgeschnitten",
    "reason.scale_unknown.short": "Pixelgröße unbekannt",
    "reason.unfamiliar.sentence": "Dieses Feld gleicht den Bildern nicht, mit denen das Modell trainiert wurde.",
    "reason.unfamiliar.next_step": "Prüfen Sie Vergrößerung, Färbung und Kameraeinstellungen. Stimmen sie, wurde dieses Modell nicht für solche Präparate gemacht.",
    "reason.low_confidence.sentence": "Das Modell ist nicht sicher genug, um eine Klasse zu nennen.",
    "reason.low_confidence.next_step": "Sehen Sie dieses Feld selbst an, oder werten Sie weitere Felder des Präparats aus.",
    "reason.model_unproven.sentence": "Keine Zahlen belegen, dass dieses Modell oft genug recht hat; seine Antwort wird zurückgehalten.",
    "reason.model_unproven.next_step": "Verwenden Sie ein Modell, das an genügend Bildern geprüft wurde, oder lassen Sie dieses an mehr Bildern prüfen.",
    "reason.blurred.sentence": "Die Kerne sind unscharf.",
    "reason.blurred.next_step": "Stellen Sie auf die Kerne scharf und werten Sie das Feld noch einmal aus.",
    "reason.moving.sentence": "Das Feld hat sich bei der Aufnahme bewegt.",
    "reason.moving.next_step": "Lassen Sie den Tisch ruhen und halten Sie Erschütterungen fern.",
    "reason.under_exposed.sentence": "Das Bild ist zu dunkel.",
    "reason.under_exposed.next_step": "Stellen Sie die Lampe heller, öffnen Sie die Blende, oder belichten Sie länger.",
    "reason.over_exposed.sentence": "Das Bild ist zu hell, so dass Einzelheiten fehlen.",
    "reason.over_exposed.next_step": "Stellen Sie die Lampe dunkler, oder belichten Sie kürzer.",
    "reason.colour_cast.sentence": "Der Hintergrund ist farbig; er soll fast weiß oder grau sein.",
    "reason.colour_cast.next_step": "Stellen Sie den Weißabgleich der Kamera an einer leeren Stelle des Präparats ein.",
    "reason.no_colour.sentence": "Alles im Bild hat fast dieselbe Farbe, so dass die Färbung nicht zu sehen ist.",
    "reason.no_colour.next_step": "Stellen Sie die Kamera auf Farbe, prüfen Sie ihren Weißabgleich und ob das Präparat gefärbt ist.",
    "reason.empty_field.sentence": "In diesem Feld ist kaum etwas außer Hintergrund.",
    "reason.empty_field.next_step": "Fahren Sie zu einer Stelle mit Zellen und stellen Sie darauf scharf.",
    "reason.no_nucleated_cells.sentence": "Das Feld ist nicht leer, aber es wurde keine Zelle mit Kern gefunden, oder zu wenig von einer.",
    "reason.no_nucleated_cells.next_step": "Fahren Sie zu einem Feld mit kernhaltigen Zellen. Sehen Sie hier eine, prüfen Sie Schärfe und Färbung.",
    "reason.field_too_small.sentence": "Das Bild hat zu wenige Pixel für das Modell.",
    "reason.field_too_small.next_step": "Stellen Sie eine höhere Auflösung ein. Ist eine Pixelgröße eingestellt, prüfen Sie, ob sie stimmt.",
    "reason.cell_cut.sentence": "Der Bildrand schneidet die Zelle ab, so dass nicht alles von ihr zu sehen ist.",
    "reason.cell_cut.next_step": "Verschieben Sie das Präparat, bis die ganze Zelle im Bild ist.",
    "reason.scale_unknown.sentence": "Es ist nicht bekannt, wie groß ein Pixel ist; so sieht das Modell die Zellen nicht in der richtigen Größe.",
    "reason.scale_unknown.next_step": "Stellen Sie die Pixelgröße der Kamera ein, oder fahren Sie zu mehr roten Zellen: Sie zeigen die Größe."
  };

  // src/locales/en.json
  var en_default = {
    notice: "Research use only. Not a medical device; no result may be used for diagnosis.",
    "nav.label": "Views",
    "nav.skip": "Skip to the content",
    "nav.overview": "Overview",
    "nav.device": "Device",
    "nav.readings": "Readings",
    "nav.reports": "Reports",
    "nav.report": "Report",
    "nav.alarms": "Alarms",
    "nav.page": "This page",
    "link.off": "Not connected",
    "link.connecting": "Connecting …",
    "link.on": "Connected",
    "link.away": "Connection lost",
    away: "No connection to the broker.",
    "away.remedy": "Nobody is watched, and what is shown is as it was. The page connects again by itself; check the network and the broker.",
    "connect.title": "Connect to the broker",
    "connect.url": "Address of the broker's WebSocket listener",
    "connect.username": "User name",
    "connect.password": "Password",
    "connect.version": "MQTT version",
    "connect.version.auto": "5, or 3.1.1 where the broker has no 5",
    "connect.go": "Connect",
    "connect.help": "Use an account that may only read. The password is kept until this tab is closed, and sent to the broker alone.",
    "connect.url.wrong": "An address begins with wss:// or ws:// and has no password in it, such as wss://broker.example.org/mqtt.",
    "connect.url.plain": "This page came over https, so the browser only allows wss:// addresses.",
    "connect.config": "config.json has something that is not understood: {names}. It was left out.",
    "connect.refused.credentials": "The broker does not accept this user name and password.",
    "connect.refused.subscription": "The broker does not let this user read leukoscope/v1/#. Check its access list.",
    "state.init": "starting",
    "state.ready": "working",
    "state.degraded": "problem",
    "state.sleeping": "paused",
    "state.disconnected": "stopped",
    "state.lost": "lost",
    "state.silent": "silent",
    "state.unknown": "not known",
    "mark.demonstration": "demonstration",
    "mark.provisional": "provisional",
    "mark.replayed": "sent late",
    "outcome.classified": "Labelled",
    "outcome.abstained": "No label",
    "outcome.rejected": "Not fit to be judged",
    "outcome.failed": "Not read",
    "overview.nobody": "Waiting for the first device …",
    "overview.summary": "Devices: {devices} · sites: {sites} · {states}",
    "overview.counts": "Since this page was opened: readings {results} · repeats left out {repeats} · missing {missing} · messages not read {unreadable}",
    "overview.attention": "Needs a person",
    "overview.none": "Nothing at the moment.",
    "overview.more": "And {count} more devices, further down in the table.",
    "overview.devices": "All devices",
    "overview.site": "{site} · {count}",
    "overview.device": "Device",
    "overview.state": "State",
    "overview.model": "Model",
    "overview.waiting": "Backlog",
    "overview.latency": "Latency",
    "overview.refused": "Without a label, last 24 h",
    "overview.refused.of": "{count} of {all}",
    "overview.newest": "Last reading",
    "overview.honest": "Backlog: messages that wait for the broker, and the age of the oldest. Latency: half of the newest readings took at most so long. Counts of the last 24 hours begin when this page was opened.",
    "finding.lost": "The connection was lost.",
    "finding.lost.remedy": "Check that the device is on and on the network. It keeps its readings and sends them when it is back.",
    "finding.silent": "Nothing was heard for three heartbeats.",
    "finding.silent.remedy": "The device, or the line to it, stands still. Check its power and network, then its log.",
    "finding.safe_mode": "The device cannot start with its configuration, and reads nothing.",
    "finding.safe_mode.remedy": "Correct what is named here. It tries again by itself.",
    "finding.rival": "Two programs use the name of this device.",
    "finding.rival.remedy": "Give one of them another site or id.",
    "finding.check": "{part}: there is a problem.",
    "finding.degraded": "The device reports a problem.",
    "finding.degraded.remedy": "What its code means is in the table of errors, deploy/contract/errors.md.",
    "finding.refusing": "No label in the last {count} readings. The commonest reason: {reason}",
    "finding.refusing.remedy": "{next_step}",
    "finding.backlog": "Messages wait for the broker: {waiting}, the oldest for {age}.",
    "finding.backlog.growing": "More and more messages wait for the broker: {waiting}, the oldest for {age}.",
    "finding.backlog.remedy": "The line is too slow, or was away for long. If it goes on growing, read less often or get a better line.",
    "finding.certificate": "A certificate needs to be renewed.",
    "finding.drift": "Fields drift away from those that the model was proven on.",
    "finding.roll_out.rolled_back": "The model {name} failed, and the one from before is in use again.",
    "finding.roll_out.refused": "The model {name} was refused.",
    "finding.clock": "The clock is not set.",
    "finding.clock.ahead": "The device's clock is {span} ahead of this computer's.",
    "finding.clock.behind": "The device's clock is {span} behind this computer's.",
    "finding.clock.remedy": "Let the device reach a time server. Until then its times cannot be compared with others.",
    "finding.provisional": "The model is provisional: no figures show that it is right often enough. It gives no labels.",
    "finding.provisional.remedy": "Use a model that was tested on enough images.",
    "finding.discarded": "Messages that never reached the broker, since the device's queue exists: {count}.",
    "finding.discarded.remedy": "Its events say when and why. “edge-agent spool export --quarantined” shows those that were kept.",
    "finding.missing": "Numbers of readings that have not arrived: {count}.",
    "finding.missing.remedy": "They may still be in its backlog. If it has none, its events say what became of them.",
    "finding.unknown": "Its state is not known.",
    "finding.unknown.remedy": "The broker keeps no status of it. It was gone before this page was opened, or may not publish its status.",
    "finding.stopped": "It was stopped by a person.",
    "finding.stopped.remedy": "Start the service when it is to read again.",
    "finding.paused": "Reading is paused.",
    "finding.paused.remedy": "Resume it on its own page, or with the command “resume”.",
    "finding.away": "This page has lost its broker.",
    "part.camera": "Camera",
    "part.model": "Model",
    "part.accelerator": "Edge TPU",
    "part.broker": "Broker",
    "part.spool": "Messages",
    "part.disk": "Disk",
    "part.clock": "Clock",
    "part.audit": "Audit log",
    "part.temperature": "Temperature",
    "part.power": "Power",
    "part.pace": "Reading rate",
    "part.memory": "Memory",
    "part.speed": "Speed",
    "part.configuration": "Configuration",
    "part.certificates": "Certificates",
    "check.ok": "ok",
    "check.degraded": "problem",
    "check.unknown": "not measured",
    "device.none": "Nothing was heard of this device since the page was opened.",
    "device.about": "About",
    "device.state": "State",
    "device.heartbeat": "Heartbeat, as seen here",
    "device.started": "Started",
    "device.model": "Model",
    "device.software": "Software",
    "device.machine": "Computer",
    "device.cameras": "Camera",
    "device.slide": "Open slide",
    "device.slide.of": "{id}, slide {slide}: {judged} judged",
    "device.readings": "Readings since its start",
    "device.waiting": "Backlog, oldest",
    "device.temperature": "Processor",
    "device.disk": "Free on its disk",
    "device.seen": "Seen by this page",
    "device.seen.of": "{results} readings, {repeats} repeats left out, {missing} missing",
    "device.ignored": "Old last wills ignored",
    "device.health": "Checks",
    "device.health.none": "No health was heard.",
    "device.health.void": "What it last said of its health is no longer true of the present.",
    "device.latency": "Latency by stage, ms",
    "latency.stage": "Stage",
    "latency.p50": "half at most",
    "latency.p95": "95 % at most",
    "latency.p99": "99 % at most",
    "device.refusals": "Refusals by reason",
    "device.refusals.day": "Last 24 hours, as far as this page was open:",
    "device.refusals.since": "Since the device started, by its own count",
    "device.newest": "Last readings",
    "device.reports": "Reports",
    "device.events": "Events",
    "table.received": "Received",
    "table.captured": "Taken",
    "table.device": "Device",
    "table.outcome": "Outcome",
    "table.reason": "Label or reason",
    "table.malignant": "Malignant classes",
    "table.latency": "Latency",
    "table.specimen": "Slide",
    "table.marks": "Marks",
    "readings.table": "Table of readings",
    "readings.none": "No reading has come since this page was opened.",
    "readings.cover": "Readings that this page has received since {from}: {count}, of {all} in all. It keeps the newest {most}; what came before it was opened, or while it was not connected for long, is not among them. For everything, use the collector's export.",
    "readings.text": "Site, device, label, reason or specimen",
    "readings.outcome": "Outcome",
    "readings.any": "any",
    "readings.save": "Save as CSV",
    "readings.saved": "Readings saved: {count}",
    "readings.newer": "Newer readings: {count}. Show them",
    "readings.page": "{from} to {to}",
    "readings.before": "Back",
    "readings.after": "On",
    "reports.none": "No report has come since this page was opened.",
    "report.name": "{id}, slide {slide}",
    "report.none": "This page has not received that report, or no longer keeps it.",
    "report.use": "Research use only. Not a medical device. These are counts of fields by a program, not a finding about a person.",
    "report.demonstration": "This is a demonstration: the model was not trained on real smears, and the figures mean nothing.",
    "report.provisional": "The model is provisional: no record shows that it is right often enough, so its labels were withheld.",
    "report.device": "Device",
    "report.began": "Begun",
    "report.finished": "Finished",
    "report.readings": "Readings",
    "report.judged": "Fields judged",
    "report.of": "{count} of {all}",
    "report.repeated": "Of fields already counted",
    "report.outcomes": "Outcomes",
    "report.malignant": "Malignant labels together",
    "report.model": "Model",
    "report.models": "Models used",
    "report.software": "Software",
    "report.distribution": "Share of the classified fields; the line is the 95 % interval",
    "report.label": "Label",
    "report.fields": "Fields",
    "report.share": "Share",
    "report.interval_head": "With its 95 % interval",
    "report.interval": "{share} ({low} to {high})",
    "report.malignant_class": "a malignant class of the model, not a finding",
    "report.no_labels": "No field was classified.",
    "report.interval_note": "Intervals are Wilson's score intervals at 95 %. They say what chance in the choice of fields may do to a share. They do not cover errors of the model, and fields of one slide resemble each other.",
    "report.refusals": "Why fields got no label",
    "report.back": "All reports",
    "alarms.help": "An alarm is raised when a device that was seen working gets a serious problem, and when this page loses its broker. The sound is off until you turn it on, and off again when the page is loaded anew. It only sounds while the page is open and the computer is awake.",
    "alarms.new": "New alarms: {count}",
    "alarms.seen": "I have seen this",
    "alarms.none": "No alarm since this page was opened.",
    "sound.on": "Turn the sound on",
    "sound.off": "Turn the sound off",
    "page.connection": "Connection",
    "page.broker": "Broker",
    "page.user": "User name",
    "page.version": "MQTT version",
    "page.messages": "Messages received",
    "page.results": "Readings",
    "page.repeats": "Repeats left out",
    "page.missing": "Numbers missing",
    "page.left_out": "Messages of devices beyond the first 5,000",
    "page.log_out": "Disconnect and forget the password",
    "page.language": "Language",
    "page.theme": "Colours",
    "page.theme.auto": "As the system",
    "page.theme.light": "Light",
    "page.theme.dark": "Dark",
    "unreadable.title": "Messages that were not read",
    "unreadable.help": "They change nothing else on this page.",
    "unreadable.none": "None.",
    "unreadable.newest": "The newest of them",
    "unreadable.foreign": "Topic of another product",
    "unreadable.future": "A later version of the schema",
    "unreadable.damaged": "Damaged: not JSON",
    "unreadable.too_large": "Too large",
    "unreadable.invalid": "Not as its schema says",
    "reason.unfamiliar.short": "unfamiliar",
    "reason.low_confidence.short": "not sure",
    "reason.model_unproven.short": "model unproven",
    "reason.blurred.short": "blurred",
    "reason.moving.short": "moving",
    "reason.under_exposed.short": "too dark",
    "reason.over_exposed.short": "too bright",
    "reason.colour_cast.short": "tinted",
    "reason.no_colour.short": "no colour",
    "reason.empty_field.short": "empty field",
    "reason.no_nucleated_cells.short": "no nucleated cells",
    "reason.field_too_small.short": "too few pixels",
    "reason.cell_cut.short": "cut by the edge",
    "reason.scale_unknown.short": "pixel size unknown",
    "reason.unfamiliar.sentence": "This field is unlike the images that the model was trained on.",
    "reason.unfamiliar.next_step": "Check magnification, stain and camera settings. If they are right, this model was not made for such slides.",
    "reason.low_confidence.sentence": "The model is not sure enough to give a label.",
    "reason.low_confidence.next_step": "Look at this field yourself, or read more fields of the slide.",
    "reason.model_unproven.sentence": "No figures show that this model is right often enough, so its answer is withheld.",
    "reason.model_unproven.next_step": "Use a model that was tested on enough images, or have this one tested on more.",
    "reason.blurred.sentence": "The nuclei are out of focus.",
    "reason.blurred.next_step": "Focus on the nuclei, and read the field again.",
    "reason.moving.sentence": "The field moved while it was being read.",
    "reason.moving.next_step": "Let the stage rest, and keep the table free of vibration.",
    "reason.under_exposed.sentence": "The picture is too dark.",
    "reason.under_exposed.next_step": "Turn the lamp up, open the diaphragm, or lengthen the exposure.",
    "reason.over_exposed.sentence": "The picture is too bright, so detail is lost.",
    "reason.over_exposed.next_step": "Turn the lamp down, or shorten the exposure.",
    "reason.colour_cast.sentence": "The background is tinted; it should be nearly white or grey.",
    "reason.colour_cast.next_step": "Set the camera's white balance on an empty part of the slide.",
    "reason.no_colour.sentence": "Everything in the picture has nearly the same colour, so the stain cannot be seen.",
    "reason.no_colour.next_step": "Set the camera to colour, check its white balance, and check that the slide is stained.",
    "reason.empty_field.sentence": "There is hardly anything but background in this field.",
    "reason.empty_field.next_step": "Move to a part of the slide with cells, and focus on them.",
    "reason.no_nucleated_cells.sentence": "This field is not empty, but no cell with a nucleus was found, or too little of one to judge.",
    "reason.no_nucleated_cells.next_step": "Move to a field with nucleated cells. If you see one here, check focus and stain.",
    "reason.field_too_small.sentence": "The picture has too few pixels for the model.",
    "reason.field_too_small.next_step": "Use a higher resolution. If a pixel size is configured, check that it is right.",
    "reason.cell_cut.sentence": "The edge of the picture cuts the cell, so not all of it is seen.",
    "reason.cell_cut.next_step": "Move the stage until the whole cell is in the picture.",
    "reason.scale_unknown.sentence": "It is not known how large a pixel is, so the cells cannot be shown to the model at the right size.",
    "reason.scale_unknown.next_step": "Configure the pixel size of the camera, or move to a field with more red cells, which show the size."
  };

  // src/i18n.js
  var CATALOGUES = { en: en_default, de: de_default };
  var LANGUAGES = { en: "English", de: "Deutsch" };
  var messages = en_default;
  function start() {
    const wanted2 = localStorage.getItem("leukoscope-language") ?? navigator.language.slice(0, 2);
    use(Object.hasOwn(CATALOGUES, wanted2) ? wanted2 : "en");
  }
  function use(language2) {
    messages = CATALOGUES[language2];
    document.documentElement.lang = language2;
    localStorage.setItem("leukoscope-language", language2);
    for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
    for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  }
  var has = (key) => Object.hasOwn(messages, key);
  function t(key, values = {}) {
    const text2 = has(key) ? messages[key] : key;
    return text2.replace(/\{(\w+)\}/g, (whole2, name2) => Object.hasOwn(values, name2) ? String(values[name2]) : whole2);
  }

  // src/words.js
  var known = (key, otherwise) => has(key) ? t(key) : otherwise;
  var stateWords = (state) => state === null ? t("state.unknown") : known(`state.${state}`, state);
  var reasonWords = (reason) => known(`reason.${reason}.short`, reason);
  var reasonSentences = (reason) => [
    known(`reason.${reason}.sentence`, reason),
    known(`reason.${reason}.next_step`, "")
  ];
  var outcomeWords = (outcome) => known(`outcome.${outcome}`, outcome);
  function readingWords({ outcome, label, reason, errorCode }) {
    if (outcome === "classified" && label !== null) return label;
    const why = reason === null ? errorCode : reasonWords(reason);
    return why === null ? outcomeWords(outcome) : `${outcomeWords(outcome)}: ${why}`;
  }
  function modelWords(model2) {
    if (model2 === null) return "–";
    const head = model2.head === null ? "" : ` + ${model2.head} ${model2.headVersion ?? ""}`;
    return `${model2.name} ${model2.version ?? ""}${head}`.trim();
  }
  function findingWords({ code, own, ...values }) {
    const said = {
      count: whole(values.count ?? 0),
      waiting: whole(values.waiting_count ?? 0),
      age: values.oldest_age_s == null ? "–" : span(values.oldest_age_s),
      span: span(Math.abs(values.ahead_ms ?? 0) / 1e3),
      part: known(`part.${values.part}`, values.part ?? ""),
      name: values.name ?? "",
      reason: values.reason === void 0 ? "" : reasonSentences(values.reason)[0],
      next_step: values.reason === void 0 ? "" : reasonSentences(values.reason)[1]
    };
    const variant = { backlog: values.growing ? ".growing" : "", clock: clockVariant(values, own), roll_out: `.${values.state}` };
    const text2 = t(`finding.${code}${variant[code] ?? ""}`, said);
    const remedy = known(`finding.${code}.remedy`, "") && t(`finding.${code}.remedy`, said);
    return { text: text2, remedy, own: own ? [own.message, own.remedy].filter(Boolean).join(" ") : "", errorCode: own?.code ?? "" };
  }
  function clockVariant({ ahead_ms }, own) {
    if (own !== void 0) return "";
    return ahead_ms > 0 ? ".ahead" : ".behind";
  }
  var latencyWords = (latency_ms) => latency_ms === null ? "–" : `${number(latency_ms)} ms`;

  // src/alarms-view.js
  var SHOWN = 5;
  var drawn = "";
  function line({ at_ms, key, site, name: name2, finding }) {
    const where = key === null ? null : el("a", { href: `#/device/${key}` }, `${site} / ${name2}`);
    return el("li", {}, el("time", {}, when(at_ms)), " ", where, where === null ? null : ": ", findingWords(finding).text);
  }
  function draw({ alarms: alarms2 }) {
    const newest = alarms2.entries.newest();
    const key = JSON.stringify([alarms2.unseen_count, newest.length, newest[0]?.at_ms, newest[0]?.key, document.documentElement.lang]);
    if (key === drawn) return;
    drawn = key;
    show(byId("alarm-bar"), alarms2.unseen_count > 0);
    byId("alarm-title").textContent = t("alarms.new", { count: whole(alarms2.unseen_count) });
    byId("alarm-newest").replaceChildren(...newest.slice(0, Math.min(SHOWN, alarms2.unseen_count)).map(line));
    show(byId("alarms-none"), newest.length === 0);
    byId("alarms").replaceChildren(...newest.map(line));
  }
  function start2(alarms2, redraw) {
    byId("alarm-seen").addEventListener("click", () => {
      alarms2.seen();
      redraw();
      byId("main").focus({ preventScroll: true });
    });
  }

  // src/attention.js
  var BACKLOG_AGE_S = 300;
  var BACKLOG_COUNT = 20;
  var LEAST_READINGS = 20;
  var LEVELS = {
    lost: "serious",
    silent: "serious",
    safe_mode: "serious",
    rival: "serious",
    check: "serious",
    degraded: "serious",
    refusing: "serious",
    backlog: "serious",
    certificate: "note",
    drift: "note",
    roll_out: "note",
    clock: "note",
    provisional: "note",
    discarded: "note",
    missing: "note",
    unknown: "note",
    stopped: "note",
    paused: "note"
  };
  var ORDER = Object.keys(LEVELS);
  var CHECKS = { model: "drift", clock: "clock" };
  function checkCode({ name: name2, code }) {
    if (/certificate/.test(`${name2} ${code}`)) return "certificate";
    return CHECKS[name2] ?? "check";
  }
  function ofState(device, now_ms) {
    const state = device.state(now_ms);
    if (state === "lost" || state === "silent") return [{ code: state }];
    if (state === null) return [{ code: "unknown" }];
    if (state === "disconnected") return [{ code: "stopped" }];
    if (state === "sleeping") return [{ code: "paused" }];
    return [];
  }
  function ofHealth(device, now_ms) {
    const { code } = device.liveness;
    if (device.state(now_ms) === "degraded" && code === "agent_safe_mode") {
      const check = device.healthNow(now_ms)?.checks.find((each) => each.state === "degraded");
      return [{ code: "safe_mode", own: check }];
    }
    const failing = (device.healthNow(now_ms)?.checks ?? []).filter((each) => each.state === "degraded");
    if (failing.length > 0) return failing.map((each) => ({ code: checkCode(each), own: each, part: each.name }));
    return device.state(now_ms) === "degraded" ? [{ code: "degraded", own: { code, message: "", remedy: "" } }] : [];
  }
  function ofBacklog({ metrics, waiting_counts }) {
    if (metrics === null || metrics.waiting_count === null) return [];
    const growing = waiting_counts.length > 2 && waiting_counts.every((each, at) => at === 0 || each > waiting_counts[at - 1]);
    const old = metrics.oldest_age_s !== null && metrics.oldest_age_s > BACKLOG_AGE_S;
    if (!old && !(growing && metrics.waiting_count >= BACKLOG_COUNT)) return [];
    return [{ code: "backlog", waiting_count: metrics.waiting_count, oldest_age_s: metrics.oldest_age_s, growing }];
  }
  function ofReadings(device) {
    const newest = device.readings.newest(LEAST_READINGS);
    if (newest.length < LEAST_READINGS || newest.some((each) => each.outcome === "classified")) return [];
    const reasons = /* @__PURE__ */ new Map();
    for (const { reason: reason2, errorCode } of newest) {
      const key = reason2 ?? errorCode ?? "other";
      reasons.set(key, (reasons.get(key) ?? 0) + 1);
    }
    const [reason] = [...reasons].sort(([, many], [, more]) => more - many)[0];
    return reason === "model_unproven" ? [] : [{ code: "refusing", count: LEAST_READINGS, reason }];
  }
  function ofModel(device) {
    const found = [];
    const { state, error, desired } = device.model ?? {};
    if (state === "rolled_back" || state === "refused") {
      found.push({ code: "roll_out", own: error, name: desired ?? "", state });
    }
    if (device.provisional()) found.push({ code: "provisional" });
    return found;
  }
  function ofLosses(device) {
    const found = [];
    const { dropped_count, quarantined_count, refused_count } = device.metrics ?? {};
    const discarded_count = (dropped_count ?? 0) + (quarantined_count ?? 0) + (refused_count ?? 0);
    if (discarded_count > 0) found.push({ code: "discarded", count: discarded_count });
    const missing_count = device.sequences.missing_count;
    if (missing_count > 0) found.push({ code: "missing", count: missing_count });
    return found;
  }
  function findings(device, now_ms) {
    const found = ofState(device, now_ms);
    if (device.liveness.present(now_ms)) {
      found.push(...ofHealth(device, now_ms), ...ofBacklog(device), ...ofReadings(device), ...ofModel(device));
      if (device.clockAhead_ms !== 0 && !found.some((each) => each.code === "clock")) {
        found.push({ code: "clock", ahead_ms: device.clockAhead_ms });
      }
      if (device.liveness.rivalries > 1) found.push({ code: "rival" });
    }
    found.push(...ofLosses(device));
    return found.map((each) => ({ level: each.own?.code === "certificate_expired" ? "serious" : LEVELS[each.code], ...each })).sort((a, b) => ORDER.indexOf(a.code) - ORDER.indexOf(b.code));
  }
  function needing(all2) {
    return all2.filter((each) => each.findings.length > 0).sort(
      (a, b) => ORDER.indexOf(a.findings[0].code) - ORDER.indexOf(b.findings[0].code) || (a.device.key < b.device.key ? -1 : 1)
    );
  }

  // src/config.js
  var VERSIONS = { auto: [5, 4], 5: [5], "3.1.1": [4] };
  var KEPT2 = "leukoscope-connection";
  var parseVersion = (name2) => VERSIONS[name2];
  function brokerBeside({ protocol, host }) {
    if (protocol !== "http:" && protocol !== "https:") return "";
    return `${protocol === "https:" ? "wss" : "ws"}://${host}/mqtt`;
  }
  function brokerUrl(value) {
    if (typeof value !== "string" || !URL.canParse(value)) return null;
    const url = new URL(value);
    return ["ws:", "wss:"].includes(url.protocol) && !url.username && !url.password && !url.hash ? url.href : null;
  }
  function examine(content) {
    const given = typeof content === "object" && content !== null ? content : {};
    const { broker = null, username = null, mqtt_version = "auto", heartbeat_s = 60 } = given;
    const settings2 = {
      broker: broker === null ? null : brokerUrl(broker),
      username: typeof username === "string" ? username : "",
      version: Object.hasOwn(VERSIONS, mqtt_version) ? mqtt_version : "auto",
      heartbeat_s: typeof heartbeat_s === "number" && heartbeat_s >= 1 && heartbeat_s <= 3600 ? heartbeat_s : 60
    };
    const problems = Object.entries({
      broker: broker !== null && settings2.broker === null,
      username: username !== null && typeof username !== "string",
      mqtt_version: settings2.version !== mqtt_version,
      heartbeat_s: settings2.heartbeat_s !== heartbeat_s
    });
    const known2 = /* @__PURE__ */ new Set(["broker", "username", "mqtt_version", "heartbeat_s"]);
    return {
      settings: { ...settings2, broker: settings2.broker ?? brokerBeside(globalThis.location ?? {}) },
      problems: [
        ...problems.filter(([, wrong]) => wrong).map(([name2]) => name2),
        ...Object.keys(given).filter((name2) => !known2.has(name2)),
        ...given === content ? [] : ["config.json"]
      ]
    };
  }
  async function load() {
    try {
      const answer = await fetch("config.json", { cache: "no-store" });
      return examine(answer.ok ? await answer.json() : {});
    } catch (error) {
      return examine(error instanceof SyntaxError ? "damaged" : {});
    }
  }
  function remembered() {
    try {
      return JSON.parse(sessionStorage.getItem(KEPT2));
    } catch {
      return null;
    }
  }
  var remember = (typed) => sessionStorage.setItem(KEPT2, JSON.stringify(typed));
  var forget = () => sessionStorage.removeItem(KEPT2);

  // src/connect-view.js
  function start3({ settings: settings2, problems }, onConnect) {
    byId("connect-url").value = settings2.broker;
    byId("connect-username").value = settings2.username;
    byId("connect-version").value = settings2.version;
    if (problems.length > 0) say(t("connect.config", { names: problems.join(", ") }));
    byId("connect-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const url = brokerUrl(byId("connect-url").value.trim());
      if (url === null) return say(t("connect.url.wrong"));
      if (location.protocol === "https:" && url.startsWith("ws:")) return say(t("connect.url.plain"));
      byId("connect-message").replaceChildren();
      return onConnect({
        url,
        username: byId("connect-username").value,
        password: byId("connect-password").value,
        version: byId("connect-version").value
      });
    });
  }
  function say(text2) {
    byId("connect-message").replaceChildren(el("p", { class: "refusal", role: "alert" }, text2));
  }
  function forgetPassword() {
    byId("connect-password").value = "";
  }

  // src/connection.js
  var FILTER = "leukoscope/v1/#";
  var KEEPALIVE_S = 60;
  var PAUSE_MS = 2e3;
  var SESSION_S = 120;
  var REFUSED = /* @__PURE__ */ new Set([4, 5, 134, 135]);
  function clientId() {
    const random = crypto.getRandomValues(new Uint8Array(8));
    return `leukoscope-dashboard-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
  var Connection = class {
    #settings;
    #callbacks;
    #versions;
    #client = null;
    #timer = null;
    #id = clientId();
    constructor(settings2, callbacks) {
      this.#settings = settings2;
      this.#callbacks = callbacks;
      this.#versions = parseVersion(settings2.version);
      this.#open(0);
    }
    #open(attempt) {
      const { url, username, password } = this.#settings;
      const version = this.#versions[attempt % this.#versions.length];
      let connected = false;
      const client = globalThis.mqtt.connect(url, {
        protocolVersion: version,
        clientId: this.#id,
        username: username || void 0,
        password: username ? password : void 0,
        keepalive: KEEPALIVE_S,
        // What comes while the connection is away for a moment is kept; 3.1.1 would keep it for ever.
        clean: version !== 5,
        properties: version === 5 ? { sessionExpiryInterval: SESSION_S } : void 0,
        reconnectPeriod: PAUSE_MS,
        // The library's own timer runs in a worker that the page's policy forbids.
        timerVariant: "native"
      });
      this.#client = client;
      client.on("connect", ({ sessionPresent }) => {
        connected = true;
        if (!sessionPresent) {
          client.subscribe(FILTER, { qos: 1 }, (error, granted) => {
            if (error || (granted?.[0]?.qos ?? 0) >= 128) this.#refuse("subscription");
          });
        }
        this.#callbacks.onConnected(version === 5 ? "5" : "3.1.1");
      });
      client.on("message", (topic, payload, packet) => {
        const expiry_s = packet.properties?.messageExpiryInterval ?? null;
        this.#callbacks.onMessage(topic, payload, { retained: packet.retain, expiry_s });
      });
      client.on("error", (error) => {
        if (REFUSED.has(error.code)) this.#refuse("credentials");
      });
      client.on("close", () => {
        if (client !== this.#client) return;
        this.#callbacks.onAway();
        if (connected || this.#versions.length === 1) return;
        client.end(true);
        this.#timer = setTimeout(() => this.#open(attempt + 1), PAUSE_MS);
      });
    }
    #refuse(reason) {
      this.close();
      this.#callbacks.onRefused(reason);
    }
    close() {
      clearTimeout(this.#timer);
      const client = this.#client;
      this.#client = null;
      client?.end(true);
    }
  };

  // src/parts.js
  var deviceLink = ({ key, site, name: name2 }) => el("a", { href: `#/device/${key}` }, `${site} / ${name2}`);
  function setText(node, text2) {
    if (node.textContent !== text2) node.textContent = text2;
  }
  function stateChip(state) {
    return el("span", { class: `chip ${state ?? "unknown"}` }, stateWords(state));
  }
  function marks(device) {
    return [
      device.demonstration() ? el("span", { class: "mark" }, t("mark.demonstration")) : null,
      device.provisional() ? el("span", { class: "mark" }, t("mark.provisional")) : null
    ].filter((each) => each !== null);
  }
  function findingItem(finding) {
    const { text: text2, remedy, own, errorCode } = findingWords(finding);
    return el(
      "li",
      { class: `finding ${finding.level}`, "data-code": finding.code },
      el("strong", {}, text2),
      remedy ? el("span", {}, ` ${remedy}`) : null,
      own ? el("span", { class: "own", lang: "en" }, ` ${own}`) : null,
      errorCode ? el("code", {}, errorCode) : null
    );
  }
  function facts(pairs) {
    return el(
      "dl",
      { class: "facts" },
      ...pairs.flatMap(([key, value]) => [el("dt", {}, t(key)), el("dd", {}, value instanceof Node ? value : String(value))])
    );
  }
  function table(heads2, rows2, caption) {
    return el(
      "div",
      { class: "wide", tabIndex: 0, role: "region", "aria-label": caption },
      el(
        "table",
        { class: "grid" },
        el("caption", { class: "unseen" }, caption),
        el("thead", {}, el("tr", {}, ...heads2.map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", {}, ...rows2.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)))))
      )
    );
  }
  function readingCells(row) {
    return [
      when(row.receivedAt),
      when(row.capturedAt),
      deviceLink(row.device),
      el("span", { class: `outcome-mark ${row.outcome} ${row.malignant ? "malignant" : ""}` }, outcomeWords(row.outcome)),
      row.outcome === "classified" ? row.label ?? "–" : row.reason === null ? row.errorCode ?? "–" : reasonWords(row.reason),
      row.malignantRatio === null ? "–" : percent(row.malignantRatio),
      latencyWords(row.latency_ms),
      row.specimen === null ? "–" : `${row.specimen} / ${row.slide ?? "–"}`,
      readingMarks(row)
    ];
  }
  function readingMarks(row) {
    const found = ["demonstration", "provisional", "replayed"].filter((name2) => row[name2] === true);
    return found.map((name2) => t(`mark.${name2}`)).join(", ") || "–";
  }
  var READING_HEADS = {
    received: "table.received",
    captured: "table.captured",
    device: "table.device",
    outcome: "table.outcome",
    reason: "table.reason",
    malignant: "table.malignant",
    latency: "table.latency",
    specimen: "table.specimen",
    marks: "table.marks"
  };
  function refusalWords(device, at_ms) {
    const outcomes = device.outcomes.totals(at_ms);
    const all2 = outcomes.reduce((sum, [, each]) => sum + each, 0);
    if (all2 === 0) return "–";
    const classified = outcomes.find(([outcome]) => outcome === "classified")?.[1] ?? 0;
    const text2 = t("overview.refused.of", { count: whole(all2 - classified), all: whole(all2) });
    const [commonest] = device.refusals.totals(at_ms);
    return commonest === void 0 ? text2 : `${text2} · ${reasonWords(commonest[0])} ${whole(commonest[1])}`;
  }
  function newestWords(device) {
    const newest = device.newest();
    return newest === null ? "–" : `${readingWords(newest)} · ${when(newest.receivedAt ?? newest.capturedAt)}`;
  }
  function countBars(counts, words) {
    const most = Math.max(1, ...counts.map(([, count2]) => count2));
    return el(
      "ul",
      { class: "plain bars" },
      ...counts.map(
        ([key, count2]) => el(
          "li",
          {},
          el("span", {}, words(key)),
          el("span", { class: "value" }, whole(count2)),
          el("progress", { max: most, value: count2, "aria-label": words(key) })
        )
      )
    );
  }
  var orDash = (value, words = number) => value === null || value === void 0 ? "–" : words(value);

  // src/reports-view.js
  var name = ({ specimen, slide }) => t("report.name", { id: specimen ?? "–", slide: slide ?? "–" });
  function reportLine(report) {
    return el(
      "li",
      { class: "report-line" },
      el("a", { href: `#/report/${report.id}` }, name(report)),
      ` · ${report.device.site} / ${report.device.name} · ${moment(report.finishedAt)}`
    );
  }
  function drawList({ fleet: fleet3 }) {
    const reports = fleet3.reports.newest();
    show(byId("reports-none"), reports.length === 0);
    const key = `${reports.length} ${reports[0]?.id} ${document.documentElement.lang}`;
    if (byId("reports").dataset.drawn === key) return;
    byId("reports").dataset.drawn = key;
    byId("reports").replaceChildren(...reports.map(reportLine));
  }
  function interval({ ratio, low_ratio, high_ratio }) {
    if (ratio === null || low_ratio === null || high_ratio === null) return "–";
    return t("report.interval", { share: percent(ratio), low: percent(low_ratio), high: percent(high_ratio) });
  }
  function bar({ ratio, low_ratio, high_ratio, malignant }) {
    const within = (value) => `${100 * Math.min(1, Math.max(0, value ?? 0))}%`;
    const fill = el("span", { class: "fill" });
    fill.style.width = within(ratio);
    const line2 = el("span", { class: "interval" });
    line2.style.left = within(low_ratio);
    line2.style.width = within((high_ratio ?? 0) - (low_ratio ?? 0));
    return el("span", { class: `share ${malignant ? "malignant" : ""}`, "aria-hidden": "true" }, fill, line2);
  }
  function distribution(report) {
    if (report.labels.length === 0) return el("p", {}, t("report.no_labels"));
    const rows2 = report.labels.map(
      (each) => el(
        "tr",
        {},
        el("th", { scope: "row" }, each.name ?? each.label, each.malignant ? el("small", {}, t("report.malignant_class")) : null),
        el("td", {}, whole(each.fields_count)),
        el("td", {}, bar(each)),
        el("td", { class: "value" }, interval(each))
      )
    );
    return el(
      "table",
      { class: "distribution" },
      el("caption", {}, t("report.distribution")),
      el("thead", {}, el("tr", {}, ...["label", "fields", "share", "interval_head"].map((each) => el("th", { scope: "col" }, t(`report.${each}`))))),
      el("tbody", {}, ...rows2)
    );
  }
  function body(report) {
    return [
      report.demonstration ? el("p", { class: "banner note" }, t("report.demonstration")) : null,
      report.provisional ? el("p", { class: "banner note" }, t("report.provisional")) : null,
      el("p", { class: "caution" }, t("report.use")),
      facts([
        ["report.device", deviceLink(report.device)],
        ["report.began", orDash(report.beganAt, moment)],
        ["report.finished", moment(report.finishedAt)],
        ["report.readings", whole(report.readings_count)],
        ["report.judged", report.wished_count === null ? orDash(report.judged_count, whole) : t("report.of", { count: orDash(report.judged_count, whole), all: whole(report.wished_count) })],
        ["report.repeated", orDash(report.repeated_count, whole)],
        ["report.outcomes", report.outcomes_count.map(([each, count2]) => `${outcomeWords(each)} ${whole(count2)}`).join(", ") || "–"],
        ["report.malignant", report.malignant === null ? "–" : `${whole(report.malignant.fields_count)} · ${interval(report.malignant)}`],
        ["report.model", modelWords(report.model)],
        ["report.models", orDash(report.models_count, whole)],
        ["report.software", orDash(report.software, String)]
      ]),
      distribution(report),
      el("p", { class: "statement" }, t("report.interval_note")),
      report.reasons_count.length === 0 ? null : el("section", {}, el("h3", {}, t("report.refusals")), countBars([...report.reasons_count].sort(([, a], [, b]) => b - a), reasonWords)),
      el("p", {}, el("a", { href: "#/reports" }, t("report.back")))
    ].filter((each) => each !== null);
  }
  function drawOne({ fleet: fleet3, place: place3 }) {
    const [report] = fleet3.reports.newest(1, (each) => each.id === place3[0]);
    const key = `${place3[0]} ${report !== void 0} ${document.documentElement.lang}`;
    if (byId("report-body").dataset.drawn === key) return;
    byId("report-body").dataset.drawn = key;
    byId("report-heading").textContent = report === void 0 ? t("nav.report") : name(report);
    byId("report-body").replaceChildren(...report === void 0 ? [el("p", {}, t("report.none"))] : body(report));
  }

  // src/device-view.js
  var GIB = 2 ** 30;
  function about(device, now_ms) {
    const { info, metrics, specimen, liveness } = device;
    const heartbeat = liveness.heartbeat_ms === null ? "–" : span(liveness.heartbeat_ms / 1e3);
    return facts([
      ["device.state", stateChip(device.state(now_ms))],
      ["device.heartbeat", heartbeat],
      ["device.started", orDash(info?.startedAt, moment)],
      ["device.model", modelWords(device.modelInUse())],
      ["device.software", orDash(info?.software, String)],
      ["device.machine", orDash(info?.machine, String)],
      ["device.cameras", info?.cameras.join(", ") || "–"],
      ["device.slide", specimen?.specimen == null ? "–" : t("device.slide.of", {
        id: specimen.specimen,
        slide: specimen.slide ?? "–",
        judged: orDash(specimen.judged_count, whole)
      })],
      ["device.readings", orDash(metrics?.readings_count, whole)],
      ["device.waiting", metrics === null ? "–" : `${orDash(metrics.waiting_count, whole)} · ${orDash(metrics.oldest_age_s, span)}`],
      ["device.temperature", orDash(metrics?.cpu_temperature_c, (value) => `${number(value)} °C`)],
      ["device.disk", orDash(metrics?.disk_free_bytes, (value) => `${number(value / GIB)} GiB`)],
      ["device.seen", t("device.seen.of", {
        results: whole(device.results_count),
        repeats: whole(device.repeats_count),
        missing: whole(device.sequences.missing_count)
      })],
      ["device.ignored", whole(liveness.ignoredWills)]
    ]);
  }
  function health(device, now_ms) {
    const current = device.healthNow(now_ms);
    if (current === null) return el("p", { class: "muted" }, t(device.health === null ? "device.health.none" : "device.health.void"));
    return el(
      "ul",
      { class: "plain" },
      ...current.checks.map(
        (check) => el(
          "li",
          { class: `check ${check.state}` },
          el("b", {}, `${has(`part.${check.name}`) ? t(`part.${check.name}`) : check.name}: ${has(`check.${check.state}`) ? t(`check.${check.state}`) : check.state}`),
          check.message ? el("span", { lang: "en" }, ` ${check.message} ${check.remedy}`) : null,
          check.code ? el("code", {}, ` ${check.code}`) : null
        )
      )
    );
  }
  function latencies({ metrics }) {
    if (metrics === null || metrics.latency_ms.length === 0) return el("p", { class: "muted" }, "–");
    const rows2 = metrics.latency_ms.map(([stage, { p50_ms, p95_ms, p99_ms }]) => [
      stage,
      orDash(p50_ms),
      orDash(p95_ms),
      orDash(p99_ms)
    ]);
    return table([t("latency.stage"), t("latency.p50"), t("latency.p95"), t("latency.p99")], rows2, t("device.latency"));
  }
  function refusals(device, at_ms) {
    const [day, outcomes] = [device.refusals.totals(at_ms), device.outcomes.totals(at_ms)];
    const since = [...device.metrics?.reasons_count ?? /* @__PURE__ */ new Map()].sort(([, a], [, b]) => b - a);
    const all2 = outcomes.reduce((sum, [, count2]) => sum + count2, 0);
    return el(
      "div",
      { class: "stack" },
      el("p", {}, `${t("device.refusals.day")} ${outcomes.map(([name2, count2]) => `${outcomeWords(name2)} ${whole(count2)} (${percent(count2 / all2)})`).join(", ") || "–"}`),
      countBars(day, reasonWords),
      el("h4", {}, t("device.refusals.since")),
      since.length === 0 ? el("p", { class: "muted" }, "–") : countBars(since, reasonWords)
    );
  }
  var drawn2 = "";
  function draw2({ fleet: fleet3, context: context3, place: place3 }) {
    const key = place3.join("/");
    const device = fleet3.devices.get(key);
    byId("device-heading").textContent = place3.join(" / ");
    const { now_ms, at_ms } = context3;
    const parts = device === void 0 ? { unknown: el("p", {}, t("device.none")) } : {
      marks: el("p", { class: "marks" }, ...marks(device)),
      needs: el("ul", { class: "plain", "data-testid": "findings" }, ...findings(device, now_ms).map(findingItem)),
      about: card("device.about", about(device, now_ms)),
      refusals: card("device.refusals", refusals(device, at_ms)),
      health: card("device.health", health(device, now_ms)),
      latency: card("device.latency", latencies(device)),
      readings: card("device.newest", table(Object.values(READING_HEADS).map((name2) => t(name2)), device.readings.newest().map(readingCells), t("device.newest"))),
      reports: card("device.reports", el("ul", { class: "plain" }, ...fleet3.reports.newest(20, (each) => each.device.key === key).map(reportLine))),
      events: card("device.events", el("ul", { class: "plain" }, ...device.events.newest().map(({ at, kind, message }) => el("li", {}, el("time", {}, orDash(at, when)), ` ${kind} `, el("span", { lang: "en" }, message)))))
    };
    const body2 = byId("device-body");
    if (drawn2 !== key + document.documentElement.lang) body2.replaceChildren();
    drawn2 = key + document.documentElement.lang;
    const now = new Map([...body2.children].map((node) => [node.dataset.part, node]));
    for (const [name2, node] of Object.entries(parts)) {
      node.dataset.part = name2;
      const before = now.get(name2);
      now.delete(name2);
      if (before === void 0) body2.append(node);
      else if (!before.isEqualNode(node) && !before.contains(document.activeElement)) before.replaceWith(node);
    }
    for (const node of now.values()) node.remove();
  }
  function card(title, content) {
    return el("section", { class: "card" }, el("h3", {}, t(title)), content);
  }

  // src/day-counts.js
  var HOUR_MS = 36e5;
  var HOURS = 24;
  var MOST_KEYS = 64;
  var DayCounts = class {
    /** Hour since 1970 → counts by key. */
    #hours = /* @__PURE__ */ new Map();
    /** Count a key at a time; false if that was more than a day ago or is yet to come. */
    add(key, at_ms, now_ms) {
      const [hour, now] = [Math.floor(at_ms / HOUR_MS), Math.floor(now_ms / HOUR_MS)];
      if (hour > now || hour <= now - HOURS) return false;
      if (!this.#hours.has(hour)) this.#hours.set(hour, /* @__PURE__ */ new Map());
      const counts = this.#hours.get(hour);
      const kept = counts.has(key) || counts.size < MOST_KEYS ? key : "other";
      counts.set(kept, (counts.get(kept) ?? 0) + 1);
      for (const each of this.#hours.keys()) if (each <= now - HOURS) this.#hours.delete(each);
      return true;
    }
    /** Counts by key, the largest first: [[key, count], …]. */
    totals(now_ms) {
      const oldest = Math.floor(now_ms / HOUR_MS) - HOURS;
      const sums = /* @__PURE__ */ new Map();
      for (const [hour, counts] of this.#hours) {
        if (hour <= oldest) continue;
        for (const [key, count2] of counts) sums.set(key, (sums.get(key) ?? 0) + count2);
      }
      return [...sums].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
    }
  };

  // src/liveness.js
  var HEARTBEATS = 3;
  var LONGEST_HEARTBEAT_MS = 36e5;
  var INTERVALS = 8;
  var FORMER = 8;
  var Liveness = class {
    session = null;
    code = null;
    at = null;
    ignoredWills = 0;
    /** Times that a former session spoke again: two programs use one name. */
    rivalries = 0;
    #state = null;
    #deadline_ms = Infinity;
    #heard_ms = null;
    #intervals_ms = [];
    #former = [];
    /** The interval at which the device repeats its status, as far as it was seen; null before. */
    get heartbeat_ms() {
      return this.#intervals_ms.length === 0 ? null : Math.min(LONGEST_HEARTBEAT_MS, Math.max(...this.#intervals_ms));
    }
    /** Take a status; false if it is to be ignored. expiry_s is what is left of the broker's, null where it is unknown. */
    take(status, { now_ms, retained, expiry_s, heartbeat_s }) {
      const { session, state } = status;
      const other = this.session !== null && session !== this.session;
      const past = other && (session < this.session || this.#former.includes(session));
      const ended = state === "lost" || state === "disconnected";
      if (past && ended) {
        if (state === "lost") this.ignoredWills += 1;
        return false;
      }
      if (other) this.#begin(session);
      const before_ms = this.#heard_ms;
      if (before_ms !== null && !retained && !ended) {
        this.#intervals_ms = [...this.#intervals_ms, now_ms - before_ms].slice(-INTERVALS);
      }
      this.#heard_ms = retained || ended ? null : now_ms;
      Object.assign(this, { session, code: status.code, at: status.at });
      this.#state = state;
      const own_ms = HEARTBEATS * (this.heartbeat_ms === null ? 1e3 * heartbeat_s : Math.max(this.heartbeat_ms, 1e3));
      this.#deadline_ms = ended ? Infinity : now_ms + (expiry_s === null ? own_ms : 1e3 * expiry_s);
      return true;
    }
    #begin(session) {
      if (this.#former.includes(session)) this.rivalries += 1;
      this.#former = [...this.#former.filter((each) => each !== session), this.session].slice(-FORMER);
      this.#heard_ms = null;
      this.#intervals_ms = [];
    }
    /** The device's own word, or "silent" where it did not repeat it in time, or null before the first. */
    state(now_ms) {
      return now_ms > this.#deadline_ms ? "silent" : this.#state;
    }
    /** Whether what else it said may still be true. */
    present(now_ms) {
      const state = this.state(now_ms);
      return state !== null && state !== "lost" && state !== "silent" && state !== "disconnected";
    }
    /** The page itself was away: give the device until then to speak. */
    wait(until_ms) {
      this.#deadline_ms = Math.max(this.#deadline_ms, until_ms);
    }
  };

  // src/recent-ids.js
  var WORDS = 4;
  var RecentIds = class {
    #words;
    #capacity;
    #next = 0;
    constructor(capacity = 1024) {
      this.#capacity = capacity;
      this.#words = new Uint32Array(capacity * WORDS);
    }
    /** Remember an id in UUID's form; false if it is already known. */
    add(id) {
      const hex = id.replaceAll("-", "");
      const [a, b, c, d] = [0, 8, 16, 24].map((at) => Number.parseInt(hex.slice(at, at + 8), 16) >>> 0);
      const words = this.#words;
      for (let at = 0; at < words.length; at += WORDS) {
        if (words[at + 3] === d && words[at + 2] === c && words[at + 1] === b && words[at] === a) return false;
      }
      words.set([a, b, c, d], this.#next * WORDS);
      this.#next = (this.#next + 1) % this.#capacity;
      return true;
    }
  };

  // src/sequences.js
  var SESSIONS = 4;
  var GAPS = 256;
  var Session = class {
    #first = null;
    #last = null;
    /** [from, to], both included, in their order. */
    #gaps = [];
    #given_up_count = 0;
    add(seq) {
      if (this.#last === null) [this.#first, this.#last] = [seq, seq];
      else if (seq > this.#last) {
        if (seq > this.#last + 1) this.#gaps.push([this.#last + 1, seq - 1]);
        this.#last = seq;
        if (this.#gaps.length > GAPS) {
          const [from, to] = this.#gaps.shift();
          this.#given_up_count += to - from + 1;
        }
      } else if (seq > this.#first) this.#close(seq);
    }
    #close(seq) {
      const at = this.#gaps.findIndex(([from2, to2]) => from2 <= seq && seq <= to2);
      if (at === -1) return;
      const [from, to] = this.#gaps[at];
      const rest = [[from, seq - 1], [seq + 1, to]].filter(([low, high]) => low <= high);
      this.#gaps.splice(at, 1, ...rest);
    }
    get missing_count() {
      return this.#gaps.reduce((sum, [from, to]) => sum + to - from + 1, this.#given_up_count);
    }
  };
  var Sequences = class {
    #sessions = /* @__PURE__ */ new Map();
    #ended_count = 0;
    add(session, seq) {
      if (!this.#sessions.has(session)) {
        this.#sessions.set(session, new Session());
        if (this.#sessions.size > SESSIONS) {
          const [oldest, ended] = this.#sessions.entries().next().value;
          this.#ended_count += ended.missing_count;
          this.#sessions.delete(oldest);
        }
      }
      this.#sessions.get(session).add(seq);
    }
    get missing_count() {
      let sum = this.#ended_count;
      for (const session of this.#sessions.values()) sum += session.missing_count;
      return sum;
    }
  };

  // src/device.js
  var HEALTH_EXPIRY_S = 900;
  var CLOCK_TOLERANCE_MS = 12e4;
  var READINGS = 20;
  var EVENTS = 20;
  var BACKLOGS = 4;
  var RETAINED = ["info", "health", "model", "last", "specimen"];
  function isNewer(reading2, than) {
    return reading2.session === than.session ? reading2.seq > than.seq : reading2.session > than.session;
  }
  var Device = class {
    liveness = new Liveness();
    info = null;
    health = null;
    metrics = null;
    model = null;
    last = null;
    specimen = null;
    readings = new Ring(READINGS);
    events = new Ring(EVENTS);
    refusals = new DayCounts();
    outcomes = new DayCounts();
    sequences = new Sequences();
    results_count = 0;
    repeats_count = 0;
    /** How far the device's clock is ahead of this computer's, where it is beyond the tolerance. */
    clockAhead_ms = 0;
    /** Messages that waited, by the newest metrics, the newest last. */
    waiting_counts = [];
    #ids = new RecentIds();
    #eventIds = new RecentIds(64);
    #healthUntil_ms = 0;
    constructor(site, name2) {
      this.site = site;
      this.name = name2;
      this.key = `${site}/${name2}`;
    }
    /** Take a message's body; false if it changes nothing. */
    take(kind, body2, context3) {
      if (body2 === null) {
        if (RETAINED.includes(kind)) this[kind] = null;
        return true;
      }
      this.#compareClocks(kind, body2, context3);
      switch (kind) {
        case "status":
          return this.liveness.take(body2, context3);
        case "health":
          this.#healthUntil_ms = context3.now_ms + 1e3 * (context3.expiry_s ?? HEALTH_EXPIRY_S);
          this.health = body2;
          return true;
        case "metrics":
          this.metrics = body2;
          this.waiting_counts = [...this.waiting_counts, body2.waiting_count ?? 0].slice(-BACKLOGS);
          return true;
        case "result":
          return this.#takeResult(body2, context3);
        case "last":
          if (this.last === null || !isNewer(this.last, body2)) this.last = body2;
          return true;
        case "event":
          if (!this.#eventIds.add(body2.id)) return false;
          this.events.add(body2);
          return true;
        case "info":
        case "model":
        case "specimen":
          this[kind] = body2;
          return true;
        default:
          return false;
      }
    }
    #takeResult(result, { at_ms }) {
      if (!this.#ids.add(result.id)) {
        this.repeats_count += 1;
        return false;
      }
      this.results_count += 1;
      this.sequences.add(result.session, result.seq);
      const counted_ms = result.replayed ? result.capturedAt : at_ms;
      this.outcomes.add(result.outcome, counted_ms, at_ms);
      const refusal = result.reason ?? result.errorCode;
      if (result.outcome !== "classified" && refusal !== null) this.refusals.add(refusal, counted_ms, at_ms);
      this.readings.add({ ...result, receivedAt: at_ms, device: this });
      return true;
    }
    /** Only what was said just now can be compared: not what is retained, nor backlog, nor a will. */
    #compareClocks(kind, body2, { retained, at_ms }) {
      if (retained || body2.replayed || body2.state === "lost" || !["status", "metrics"].includes(kind)) return;
      if (body2.at === null) return;
      const ahead_ms = body2.at - at_ms;
      if (kind === "metrics" && ahead_ms < 0) return;
      this.clockAhead_ms = Math.abs(ahead_ms) > CLOCK_TOLERANCE_MS ? ahead_ms : 0;
    }
    state(now_ms) {
      return this.liveness.state(now_ms);
    }
    /** Its health, or null where that says nothing of the present. */
    healthNow(now_ms) {
      return this.liveness.present(now_ms) && now_ms <= this.#healthUntil_ms ? this.health : null;
    }
    /** The newest reading that is known of, also one from before the page was opened. */
    newest() {
      const [own] = this.readings.newest(1);
      if (own === void 0) return this.last;
      return this.last !== null && isNewer(this.last, own) ? this.last : own;
    }
    /** The model in use: {name, version, head}. */
    modelInUse() {
      return this.model?.model ?? this.info?.model ?? null;
    }
    provisional() {
      return this.info?.provisional ?? this.newest()?.provisional ?? false;
    }
    demonstration() {
      return this.info?.demonstration ?? this.newest()?.demonstration ?? false;
    }
    /** Latency in ms: half of the readings took at most so long. */
    latency_ms() {
      const total = this.metrics?.latency_ms.find(([stage]) => stage === "total");
      return total === void 0 ? this.newest()?.latency_ms ?? null : total[1].p50_ms;
    }
  };

  // src/fields.js
  var MOST_CHARACTERS = 300;
  var MOST_ENTRIES = 64;
  var UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
  var SLUG = /^[a-z0-9-]+$/;
  function text(value) {
    return typeof value === "string" ? value.slice(0, MOST_CHARACTERS) : null;
  }
  function slug(value) {
    return typeof value === "string" && value.length <= MOST_CHARACTERS && SLUG.test(value) ? value : null;
  }
  function uuid(value) {
    const lower = typeof value === "string" ? value.toLowerCase() : "";
    return UUID.test(lower) ? lower : null;
  }
  function number2(value) {
    return typeof value === "number" && Number.isFinite(value) ? value : null;
  }
  function count(value) {
    return Number.isSafeInteger(value) && value >= 0 ? value : null;
  }
  function flag(value) {
    return typeof value === "boolean" ? value : null;
  }
  function time(value) {
    const at = typeof value === "string" && value.length <= 40 ? Date.parse(value) : NaN;
    return Number.isNaN(at) ? null : at;
  }
  function object(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  }
  function list(value) {
    return Array.isArray(value) ? value.slice(0, MOST_ENTRIES) : [];
  }
  function entries(value, type) {
    return Object.entries(object(value)).slice(0, MOST_ENTRIES).map(([name2, each]) => [name2.slice(0, MOST_CHARACTERS), type(each)]).filter(([, each]) => each !== null);
  }

  // src/messages.js
  var MOST_BYTES = 131072;
  var TOPIC = /^leukoscope\/v1\/([a-z0-9-]{1,100})\/([a-z0-9-]{1,100})\/(.+)$/;
  var KINDS = {
    status: "status",
    info: "info",
    health: "health",
    metrics: "metrics",
    report: "report",
    event: "event",
    last: "last",
    specimen: "specimen",
    "model/reported": "model"
  };
  var SCHEMAS = { last: "result", model: "model-reported" };
  var OTHERS = /^(?:command|answer)\/|^model\/desired$/;
  function place(topic) {
    const found = TOPIC.exec(topic);
    if (found === null) return null;
    const [, site, device, rest] = found;
    const [first, camera, ...more] = rest.split("/");
    if (first === "result" && more.length === 0 && slug(camera) !== null) return { site, device, kind: "result" };
    if (OTHERS.test(rest)) return { site, device, kind: null };
    return Object.hasOwn(KINDS, rest) ? { site, device, kind: KINDS[rest] } : null;
  }
  function json(payload) {
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    } catch {
      return void 0;
    }
  }
  function model(value) {
    const { name: name2, version, head } = object(value);
    const found = { name: text(name2), version: text(version), head: text(object(head).name) };
    return found.name === null ? null : { ...found, headVersion: text(object(head).version) };
  }
  function failure(value) {
    const { code, message, remedy } = object(value);
    return text(code) === null ? null : { code: text(code), message: text(message) ?? "", remedy: text(remedy) ?? "" };
  }
  function reading(body2) {
    const [specimen, decision] = [object(body2.specimen), object(body2.decision)];
    const { name: name2, version, head, headVersion } = model(body2.model) ?? {};
    return {
      id: uuid(body2.id),
      session: uuid(body2.session),
      seq: count(body2.seq),
      capturedAt: time(body2.captured_at),
      outcome: text(body2.outcome),
      camera: text(body2.camera),
      replayed: body2.replayed === true,
      demonstration: flag(body2.demonstration),
      provisional: flag(body2.provisional),
      clockSynchronised: flag(object(body2.clock).synchronised),
      reason: text(body2.reason),
      errorCode: text(object(body2.error).code),
      label: text(body2.label),
      malignant: flag(body2.malignant),
      malignantRatio: number2(body2.malignant_ratio),
      confidenceRatio: number2(decision.confidence_ratio),
      specimen: text(specimen.id),
      slide: count(specimen.slide),
      field: count(specimen.field),
      latency_ms: number2(object(body2.latency_ms).total),
      modelName: name2 ?? null,
      modelVersion: version ?? null,
      headName: head ?? null,
      headVersion: headVersion ?? null,
      software: text(body2.software)
    };
  }
  function share(value) {
    const { fields_count, ratio, low_ratio, high_ratio } = object(value);
    if (count(fields_count) === null) return null;
    return { fields_count, ratio: number2(ratio), low_ratio: number2(low_ratio), high_ratio: number2(high_ratio) };
  }
  var percentiles = (value) => {
    const { p50_ms, p95_ms, p99_ms } = object(value);
    return number2(p50_ms) === null ? null : { p50_ms, p95_ms: number2(p95_ms), p99_ms: number2(p99_ms) };
  };
  var READ = {
    status: (body2) => ({
      session: uuid(body2.session),
      state: text(body2.state),
      code: text(body2.code),
      at: time(body2.at)
    }),
    info: (body2) => ({
      session: uuid(body2.session),
      startedAt: time(body2.started_at),
      machine: text(body2.machine),
      software: text(object(body2.software).leukoscope),
      model: model(body2.model),
      demonstration: body2.demonstration === true,
      provisional: body2.provisional === true,
      cameras: list(body2.cameras).map((each) => text(object(each).kind)).filter((kind) => kind !== null)
    }),
    health: (body2) => ({
      session: uuid(body2.session),
      at: time(body2.at),
      state: text(body2.state),
      checks: list(body2.checks).map(object).filter((each) => text(each.name) !== null).map((each) => ({
        name: text(each.name),
        state: text(each.state),
        code: text(each.code),
        message: text(each.message) ?? "",
        remedy: text(each.remedy) ?? ""
      }))
    }),
    metrics: (body2) => ({
      session: uuid(body2.session),
      at: time(body2.at),
      uptime_s: number2(body2.uptime_s),
      readings_count: count(body2.readings_count),
      rate_hz: number2(body2.reading_rate_hz),
      latency_ms: entries(body2.latency_ms, percentiles),
      waiting_count: count(object(body2.spool).waiting_count),
      oldest_age_s: number2(object(body2.spool).oldest_age_s),
      dropped_count: count(object(body2.spool).dropped_count),
      quarantined_count: count(object(body2.spool).quarantined_count),
      refused_count: count(object(body2.spool).refused_count),
      cpu_temperature_c: number2(object(body2.machine).cpu_temperature_c),
      disk_free_bytes: count(object(body2.machine).disk_free_bytes),
      outcomes_count: new Map(entries(body2.outcomes_count, count)),
      reasons_count: new Map(entries(body2.reasons_count, count))
    }),
    result: reading,
    last: reading,
    report: (body2) => ({
      id: uuid(body2.id),
      session: uuid(body2.session),
      demonstration: body2.demonstration === true,
      provisional: body2.provisional === true,
      specimen: text(object(body2.specimen).id),
      slide: count(object(body2.specimen).slide),
      beganAt: time(body2.began_at),
      finishedAt: time(body2.finished_at),
      wished_count: count(body2.wished_fields_count),
      readings_count: count(body2.readings_count),
      judged_count: count(body2.judged_count),
      repeated_count: count(body2.repeated_count),
      outcomes_count: entries(body2.outcomes_count, count),
      reasons_count: entries(body2.reasons_count, count),
      labels: list(body2.labels).map((each) => ({
        ...share(each),
        label: text(object(each).label),
        name: text(object(each).name),
        malignant: flag(object(each).malignant)
      })).filter((each) => each.label !== null && each.fields_count !== void 0),
      malignant: share(body2.malignant),
      model: model(body2.model),
      models_count: count(body2.models_count),
      software: text(body2.software)
    }),
    event: (body2) => ({
      id: uuid(body2.id),
      session: uuid(body2.session),
      at: time(body2.at),
      kind: text(body2.kind),
      code: text(body2.code),
      message: text(body2.message) ?? ""
    }),
    specimen: (body2) => ({
      session: uuid(body2.session),
      at: time(body2.at),
      specimen: text(object(body2.specimen).id),
      slide: count(object(body2.specimen).slide),
      readings_count: count(body2.readings_count),
      judged_count: count(body2.judged_count),
      wished_count: count(body2.wished_fields_count)
    }),
    model: (body2) => ({
      session: uuid(body2.session),
      at: time(body2.at),
      model: model(body2.model),
      state: text(body2.state),
      error: failure(body2.error),
      desired: text(object(body2.desired).name)
    })
  };
  var NEEDED = {
    status: ["session", "state"],
    info: ["session"],
    health: ["session", "state"],
    metrics: ["session", "at"],
    result: ["id", "session", "seq", "capturedAt", "outcome"],
    last: ["id", "session", "seq", "capturedAt", "outcome"],
    report: ["id", "finishedAt", "readings_count"],
    event: ["id", "kind"],
    specimen: ["session"],
    model: ["session", "state"]
  };
  function parse(topic, payload) {
    const found = place(topic);
    if (found === null) return { unreadable: "foreign" };
    if (found.kind === null || payload.length === 0) return { ...found, body: null };
    if (payload.length > MOST_BYTES) return { ...found, unreadable: "too_large" };
    const body2 = json(payload);
    if (body2 === void 0) return { ...found, unreadable: "damaged" };
    const { schema, site, device } = object(body2);
    const name2 = SCHEMAS[found.kind] ?? found.kind;
    if (schema !== `leukoscope/${name2}/v1`) {
      const future = typeof schema === "string" && schema.startsWith(`leukoscope/${name2}/v`);
      return { ...found, unreadable: future ? "future" : "invalid" };
    }
    if (device !== found.device || (site ?? found.site) !== found.site) return { ...found, unreadable: "invalid" };
    const read = READ[found.kind](body2);
    if (NEEDED[found.kind].some((field2) => read[field2] === null)) return { ...found, unreadable: "invalid" };
    return { ...found, body: read };
  }

  // src/fleet.js
  var READINGS2 = 2e4;
  var REPORTS = 500;
  var EXAMPLES = 50;
  var MOST_DEVICES = 5e3;
  var GRACE_MS = 5e3;
  var TOPIC_CHARACTERS = 120;
  var Fleet = class {
    devices = /* @__PURE__ */ new Map();
    readings = new Ring(READINGS2);
    reports = new Ring(REPORTS);
    /** Messages that were not read, by why. */
    unreadable = /* @__PURE__ */ new Map();
    examples = new Ring(EXAMPLES);
    messages_count = 0;
    results_count = 0;
    repeats_count = 0;
    /** Devices that were not taken, since there are too many. */
    left_out_count = 0;
    /** Devices of which something changed since the page was drawn. */
    dirty = /* @__PURE__ */ new Set();
    #reportIds = new RecentIds(REPORTS);
    #heartbeat_s;
    #awaySince_ms = null;
    constructor({ heartbeat_s = 60 } = {}) {
      this.#heartbeat_s = heartbeat_s;
    }
    /**
     * Take a message as it came. at_ms is the time of day, now_ms that of a clock that never jumps, expiry_s what is left
     * of the broker's expiry, null where it said none.
     */
    take(topic, payload, { at_ms, now_ms, retained = false, expiry_s = null }) {
      this.messages_count += 1;
      const { site, device: name2, kind, body: body2, unreadable } = parse(topic, payload);
      if (unreadable !== void 0) {
        this.unreadable.set(unreadable, (this.unreadable.get(unreadable) ?? 0) + 1);
        this.examples.add({ at_ms, topic: topic.slice(0, TOPIC_CHARACTERS), why: unreadable, size_bytes: payload.length });
        return;
      }
      if (kind === null) return;
      if (kind === "status" && body2 === null) {
        const gone = this.devices.get(`${site}/${name2}`);
        this.devices.delete(`${site}/${name2}`);
        if (gone !== void 0) this.dirty.add(gone);
        return;
      }
      const device = body2 === null ? this.devices.get(`${site}/${name2}`) : this.#device(site, name2);
      if (device === void 0 || device === null) return;
      if (kind === "report") this.#takeReport(device, body2);
      else this.#takeOther(device, kind, body2, { at_ms, now_ms, retained, expiry_s, heartbeat_s: this.#heartbeat_s });
      this.dirty.add(device);
    }
    #takeOther(device, kind, body2, context3) {
      const taken = device.take(kind, body2, context3);
      if (kind !== "result") return;
      if (taken) {
        this.results_count += 1;
        this.readings.add(device.readings.newest(1)[0]);
      } else this.repeats_count += 1;
    }
    #takeReport(device, body2) {
      if (this.#reportIds.add(body2.id)) this.reports.add({ ...body2, device });
    }
    #device(site, name2) {
      const key = `${site}/${name2}`;
      const known2 = this.devices.get(key);
      if (known2 !== void 0) return known2;
      if (this.devices.size >= MOST_DEVICES) {
        this.left_out_count += 1;
        return null;
      }
      const device = new Device(site, name2);
      this.devices.set(key, device);
      return device;
    }
    get missing_count() {
      let sum = 0;
      for (const device of this.devices.values()) sum += device.sequences.missing_count;
      return sum;
    }
    /** The page has lost its broker: nothing more can be said of any device than up to now. */
    away(now_ms) {
      this.#awaySince_ms ??= now_ms;
    }
    /** It is back: devices have a moment to speak before they count as silent. */
    back(now_ms) {
      this.#awaySince_ms = null;
      for (const device of this.devices.values()) device.liveness.wait(now_ms + GRACE_MS);
    }
    /** The time up to which the page can tell anything. */
    seen_ms(now_ms) {
      return this.#awaySince_ms ?? now_ms;
    }
  };

  // src/frames.js
  var INTERVAL_MS = 200;
  var Frames = class {
    #draw;
    #asked = false;
    #drawn_ms = -Infinity;
    constructor(draw6) {
      this.#draw = draw6;
    }
    ask() {
      if (this.#asked) return;
      this.#asked = true;
      setTimeout(() => requestAnimationFrame(() => this.now()), Math.max(0, this.#drawn_ms + INTERVAL_MS - performance.now()));
    }
    now() {
      this.#asked = false;
      this.#drawn_ms = performance.now();
      this.#draw();
    }
  };

  // src/overview.js
  var MOST_SHOWN = 50;
  var OUT_OF_SIGHT = 40;
  var COLUMNS = ["device", "state", "model", "waiting", "latency", "refused", "newest"];
  var collator = new Intl.Collator("en", { numeric: true });
  var rows = /* @__PURE__ */ new Map();
  var inSight = /* @__PURE__ */ new Set();
  var attentionDrawn = "";
  var order = [];
  var sight = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) inSight.add(target);
      else inSight.delete(target);
    }
  });
  function makeRow(device) {
    const cells = Object.fromEntries(
      COLUMNS.map((name2) => [
        name2,
        el(name2 === "device" ? "th" : "td", { role: name2 === "device" ? "rowheader" : "cell", "data-head": name2, scope: name2 === "device" ? "row" : void 0 })
      ])
    );
    cells.device.append(el("a", { href: `#/device/${device.key}` }, device.name), el("span", { class: "marks" }));
    cells.state.append(el("span", { class: "chip" }));
    const row = el("tr", { role: "row", "data-device": device.key }, ...Object.values(cells));
    sight.observe(row);
    return { row, cells, marks: "" };
  }
  function waitingWords({ metrics }) {
    if (metrics === null || metrics.waiting_count === null) return "–";
    const count2 = whole(metrics.waiting_count);
    return metrics.waiting_count === 0 || metrics.oldest_age_s === null ? count2 : `${count2} · ${span(metrics.oldest_age_s)}`;
  }
  function drawRow(device, { now_ms, at_ms }) {
    const { cells, ...drawn5 } = rows.get(device);
    const state = device.state(now_ms);
    const chip = cells.state.firstChild;
    chip.className = `chip ${state ?? "unknown"}`;
    setText(chip, stateWords(state));
    const key = `${device.demonstration()} ${device.provisional()} ${document.documentElement.lang}`;
    if (drawn5.marks !== key) {
      cells.device.lastChild.replaceChildren(...marks(device));
      rows.get(device).marks = key;
    }
    setText(cells.model, modelWords(device.modelInUse()));
    setText(cells.waiting, waitingWords(device));
    setText(cells.latency, latencyWords(device.latency_ms()));
    setText(cells.refused, refusalWords(device, at_ms));
    setText(cells.newest, newestWords(device));
  }
  function siteHead(site, devices) {
    return el(
      "tr",
      { role: "row", class: "site" },
      el("th", { role: "rowheader", scope: "rowgroup", colSpan: COLUMNS.length }, t("overview.site", { site, count: whole(devices) }))
    );
  }
  function arrange(fleet3) {
    const devices = [...fleet3.devices.values()].sort(
      (a, b) => collator.compare(a.site, b.site) || collator.compare(a.name, b.name)
    );
    const same = devices.length === order.length && devices.every((each, at) => each === order[at]);
    if (same && byId("overview-rows").dataset.language === document.documentElement.lang) return;
    order = devices;
    byId("overview-rows").dataset.language = document.documentElement.lang;
    for (const [device, { row }] of rows) {
      if (fleet3.devices.get(device.key) === device) continue;
      sight.unobserve(row);
      inSight.delete(row);
      rows.delete(device);
    }
    const sites = Map.groupBy(devices, (each) => each.site);
    const nodes = [];
    for (const [site, found] of sites) {
      nodes.push(siteHead(site, found.length));
      for (const device of found) {
        if (!rows.has(device)) rows.set(device, makeRow(device));
        const { row, cells } = rows.get(device);
        for (const name2 of COLUMNS) cells[name2].dataset.label = t(`overview.${name2}`);
        nodes.push(row);
      }
    }
    byId("overview-rows").replaceChildren(...nodes);
  }
  function drawAttention(evaluated2) {
    const found = needing(evaluated2);
    const key = JSON.stringify([
      document.documentElement.lang,
      found.slice(0, MOST_SHOWN).map(({ device, findings: findings2 }) => [device.key, findings2]),
      found.length,
      evaluated2.length > 0
    ]);
    if (key === attentionDrawn) return;
    attentionDrawn = key;
    byId("attention").replaceChildren(
      ...found.slice(0, MOST_SHOWN).map(
        ({ device, findings: findings2 }) => el(
          "li",
          { class: `card need ${findings2.some((each) => each.level === "serious") ? "serious" : "note"}`, "data-device": device.key },
          el("h3", {}, deviceLink(device)),
          el("ul", { class: "plain" }, ...findings2.map(findingItem))
        )
      )
    );
    show(byId("attention-none"), found.length === 0 && evaluated2.length > 0);
    const more = found.length - MOST_SHOWN;
    byId("attention-more").textContent = more > 0 ? t("overview.more", { count: whole(more) }) : "";
  }
  function drawSummary(fleet3, { now_ms }) {
    const states = Map.groupBy(fleet3.devices.values(), (device) => device.state(now_ms) ?? "unknown");
    const parts = [...states].sort(([a], [b]) => a < b ? -1 : 1).map(([state, found]) => `${stateWords(state === "unknown" ? null : state)} ${whole(found.length)}`);
    const sites = new Set([...fleet3.devices.values()].map((each) => each.site)).size;
    setText(
      byId("summary"),
      t("overview.summary", { devices: whole(fleet3.devices.size), sites: whole(sites), states: parts.join(", ") || "–" })
    );
    setText(
      byId("counts"),
      t("overview.counts", {
        results: whole(fleet3.results_count),
        repeats: whole(fleet3.repeats_count),
        missing: whole(fleet3.missing_count),
        unreadable: whole([...fleet3.unreadable.values()].reduce((sum, each) => sum + each, 0))
      })
    );
  }
  function draw3({ fleet: fleet3, evaluated: evaluated2, context: context3, all: all2 }) {
    show(byId("overview-waiting"), fleet3.devices.size === 0);
    show(byId("overview-table"), fleet3.devices.size > 0);
    arrange(fleet3);
    drawSummary(fleet3, context3);
    drawAttention(evaluated2);
    if (all2) for (const device of fleet3.devices.values()) fleet3.dirty.add(device);
    let outOfSight = 0;
    for (const device of fleet3.dirty) {
      const drawn5 = rows.get(device);
      if (drawn5 !== void 0 && !inSight.has(drawn5.row)) {
        if (outOfSight === OUT_OF_SIGHT) continue;
        outOfSight += 1;
      }
      fleet3.dirty.delete(device);
      if (drawn5 !== void 0) drawRow(device, context3);
    }
    return fleet3.dirty.size > 0;
  }

  // src/sound.js
  var NOTES_HZ = [880, 660];
  var NOTE_S = 0.25;
  var PAUSE_MS2 = 5e3;
  var context = null;
  var played_ms = -Infinity;
  var isOn = () => context !== null;
  async function turnOn() {
    context ??= new AudioContext();
    await context.resume();
  }
  async function turnOff() {
    const before = context;
    context = null;
    await before?.close();
  }
  function play(now_ms) {
    if (context === null || now_ms - played_ms < PAUSE_MS2) return false;
    played_ms = now_ms;
    NOTES_HZ.forEach((frequency, index) => {
      const [from, oscillator, volume] = [context.currentTime + index * NOTE_S, context.createOscillator(), context.createGain()];
      oscillator.frequency.value = frequency;
      volume.gain.setValueAtTime(0.2, from);
      volume.gain.exponentialRampToValueAtTime(1e-3, from + NOTE_S);
      oscillator.connect(volume).connect(context.destination);
      oscillator.start(from);
      oscillator.stop(from + NOTE_S);
    });
    return true;
  }

  // src/page-view.js
  var drawn3 = "";
  function draw4({ fleet: fleet3, connection: connection2 }) {
    const unreadable = [...fleet3.unreadable].sort();
    const key = JSON.stringify([connection2, fleet3.messages_count, unreadable, document.documentElement.lang]);
    if (key === drawn3) return;
    drawn3 = key;
    byId("page-facts").replaceChildren(
      facts([
        ["page.broker", connection2.url],
        ["page.user", connection2.username || "–"],
        ["page.version", connection2.version ?? "–"],
        ["page.messages", whole(fleet3.messages_count)],
        ["page.results", whole(fleet3.results_count)],
        ["page.repeats", whole(fleet3.repeats_count)],
        ["page.missing", whole(fleet3.missing_count)],
        ["page.left_out", whole(fleet3.left_out_count)]
      ])
    );
    show(byId("unreadable-none"), unreadable.length === 0);
    byId("unreadable").replaceChildren(
      ...unreadable.map(([why, count2]) => el("li", { "data-why": why }, `${t(`unreadable.${why}`)}: ${whole(count2)}`))
    );
    byId("unreadable-examples").replaceChildren(
      ...fleet3.examples.newest().map(
        ({ at_ms, topic, why, size_bytes }) => el("li", {}, el("time", {}, when(at_ms)), ` ${t(`unreadable.${why}`)} · ${whole(size_bytes)} B · `, el("code", {}, topic))
      )
    );
  }
  function drawSound() {
    setText(byId("sound"), t(isOn() ? "sound.off" : "sound.on"));
    byId("sound").setAttribute("aria-pressed", String(isOn()));
  }
  function start4(onLanguage, onTheme, onLogOut) {
    byId("language").replaceChildren(...Object.entries(LANGUAGES).map(([value, name2]) => el("option", { value }, name2)));
    byId("language").value = document.documentElement.lang;
    byId("language").addEventListener("change", (event) => onLanguage(event.target.value));
    byId("theme").addEventListener("change", (event) => onTheme(event.target.value));
    byId("log-out").addEventListener("click", onLogOut);
    byId("sound").addEventListener("click", async () => {
      await (isOn() ? turnOff() : turnOn());
      drawSound();
    });
  }

  // src/table.js
  var iso = (time_ms) => time_ms === null ? null : new Date(time_ms).toISOString();
  var COLUMNS2 = {
    received_at: (row) => iso(row.receivedAt),
    captured_at: (row) => iso(row.capturedAt),
    site: (row) => row.device.site,
    device: (row) => row.device.name,
    camera: (row) => row.camera,
    session: (row) => row.session,
    seq: (row) => row.seq,
    id: (row) => row.id,
    clock_synchronised: (row) => row.clockSynchronised,
    replayed: (row) => row.replayed,
    demonstration: (row) => row.demonstration,
    provisional: (row) => row.provisional,
    specimen: (row) => row.specimen,
    slide: (row) => row.slide,
    field: (row) => row.field,
    outcome: (row) => row.outcome,
    reason: (row) => row.reason,
    error_code: (row) => row.errorCode,
    label: (row) => row.label,
    malignant: (row) => row.malignant,
    malignant_ratio: (row) => row.malignantRatio,
    confidence_ratio: (row) => row.confidenceRatio,
    latency_total_ms: (row) => row.latency_ms,
    model_name: (row) => row.modelName,
    model_version: (row) => row.modelVersion,
    head_name: (row) => row.headName,
    head_version: (row) => row.headVersion,
    software: (row) => row.software,
    use: () => "research-only"
  };
  var KEYS = {
    received: (row) => row.receivedAt,
    captured: (row) => row.capturedAt,
    device: (row) => row.device.key,
    outcome: (row) => row.outcome,
    reason: (row) => row.label ?? row.reason ?? row.errorCode,
    malignant: (row) => row.malignantRatio,
    latency: (row) => row.latency_ms,
    specimen: (row) => row.specimen
  };
  var SORTABLE = Object.keys(KEYS);
  function sorted(rows2, by, descending) {
    const key = KEYS[by];
    const sign = descending ? -1 : 1;
    return rows2.map((row) => [key(row), row]).sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return a === b ? 0 : a < b ? -sign : sign;
    }).map(([, row]) => row);
  }
  function field(value) {
    if (value === null || value === void 0) return "";
    if (typeof value !== "string") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }
  function csv(rows2) {
    const columns = Object.values(COLUMNS2);
    const lines = [Object.keys(COLUMNS2).join(","), ...rows2.map((row) => columns.map((of) => field(of(row))).join(","))];
    return `${lines.join("\r\n")}\r
`;
  }

  // src/readings-view.js
  var PAGE = 100;
  var FIRST = { by: "received", descending: true };
  var fleet = null;
  var order2 = FIRST;
  var page = 0;
  var held = null;
  var heldAt_count = 0;
  var drawn4 = "";
  var filter = () => ({
    text: byId("readings-text").value.trim().toLowerCase(),
    outcome: byId("readings-outcome").value
  });
  function wanted({ text: text2, outcome }) {
    return (row) => (outcome === "" || row.outcome === outcome) && (text2 === "" || [row.device.key, row.label, row.reason, row.errorCode, row.specimen].some((each) => each?.toLowerCase().includes(text2)));
  }
  var isLive = () => order2.by === FIRST.by && order2.descending && page === 0;
  function hold() {
    const rows2 = fleet.readings.newest(Infinity, wanted(filter()));
    held = order2.by === FIRST.by && order2.descending ? rows2 : sorted(rows2, order2.by, order2.descending);
    heldAt_count = fleet.results_count;
  }
  function change(make) {
    make();
    held = null;
    drawn4 = "";
    draw5({ fleet });
  }
  function heads() {
    return Object.entries(READING_HEADS).map(([name2, key]) => {
      if (!SORTABLE.includes(name2)) return el("th", { scope: "col" }, t(key));
      const now = order2.by === name2;
      const button = el("button", { type: "button", class: "sort", "data-sort": name2 }, t(key), el("span", { "aria-hidden": "true" }, now ? order2.descending ? " ↓" : " ↑" : ""));
      button.addEventListener("click", () => {
        change(() => {
          order2 = { by: name2, descending: now ? !order2.descending : name2 === "received" || name2 === "captured" };
          page = 0;
        });
        byId("readings-heads").querySelector(`[data-sort="${name2}"]`).focus();
      });
      return el("th", { scope: "col", "aria-sort": now ? order2.descending ? "descending" : "ascending" : "none" }, button);
    });
  }
  function drawCover() {
    const { readings } = fleet;
    const from = readings.oldest;
    setText(
      byId("readings-cover"),
      from === void 0 ? t("readings.none") : t("readings.cover", {
        count: whole(readings.size),
        most: whole(readings.capacity),
        from: moment(from.receivedAt),
        all: whole(fleet.results_count)
      })
    );
  }
  function draw5({ fleet: given, all: all2 = true }) {
    fleet = given;
    if (!all2 && drawn4 !== "") return;
    if (!isLive() && held === null) hold();
    const rows2 = isLive() ? fleet.readings.newest(PAGE, wanted(filter())) : held.slice(page * PAGE, (page + 1) * PAGE);
    const newer = isLive() ? 0 : fleet.results_count - heldAt_count;
    byId("readings-newer").hidden = newer === 0;
    setText(byId("readings-newer"), t("readings.newer", { count: whole(newer) }));
    const key = [rows2.length, rows2[0]?.id, rows2.at(-1)?.id, order2.by, order2.descending, page, document.documentElement.lang].join();
    if (key === drawn4) return;
    drawn4 = key;
    drawCover();
    byId("readings-heads").replaceChildren(...heads());
    byId("readings-rows").replaceChildren(...rows2.map((row) => el("tr", { "data-id": row.id }, ...readingCells(row).map((cell) => el("td", {}, cell)))));
    const from = page * PAGE;
    setText(byId("readings-page"), t("readings.page", { from: whole(rows2.length === 0 ? 0 : from + 1), to: whole(from + rows2.length) }));
    byId("readings-before").disabled = page === 0;
    byId("readings-after").disabled = rows2.length < PAGE;
  }
  function save() {
    hold();
    const rows2 = held;
    const url = URL.createObjectURL(new Blob([csv(rows2)], { type: "text/csv;charset=utf-8" }));
    const stamp = (/* @__PURE__ */ new Date()).toISOString().slice(0, 19).replaceAll(":", "-");
    const link2 = el("a", { href: url, download: `leukoscope-readings-${stamp}.csv` });
    link2.click();
    setTimeout(() => URL.revokeObjectURL(url), 6e4);
    if (isLive()) held = null;
    setText(byId("readings-saved"), t("readings.saved", { count: whole(rows2.length) }));
  }
  function start5() {
    byId("readings-text").addEventListener("input", () => change(() => page = 0));
    byId("readings-outcome").addEventListener("change", () => change(() => page = 0));
    byId("readings-newer").addEventListener("click", () => change(() => {
    }));
    byId("readings-save").addEventListener("click", save);
    for (const [id, step] of [["readings-before", -1], ["readings-after", 1]]) {
      byId(id).addEventListener("click", () => {
        if (held === null) hold();
        page += step;
        drawn4 = "";
        draw5({ fleet });
      });
    }
  }

  // src/app.js
  var TICK_MS = 1e3;
  var THEME = "leukoscope-theme";
  var VIEWS = {
    overview: { draw: draw3, nav: "overview" },
    device: { draw: draw2, nav: "overview" },
    readings: { draw: draw5, nav: "readings" },
    reports: { draw: drawList, nav: "reports" },
    report: { draw: drawOne, nav: "reports" },
    alarms: { draw: () => {
    }, nav: "alarms" },
    page: { draw: draw4, nav: "page" }
  };
  var alarms = new Alarms();
  var fleet2 = new Fleet();
  var settings = { heartbeat_s: 60 };
  var connection = null;
  var link = { url: "", username: "", version: null, state: "off" };
  var evaluated = [];
  var all = true;
  var view = "overview";
  var place2 = [];
  function context2() {
    const now_ms = performance.now();
    return { now_ms: fleet2.seen_ms(now_ms), at_ms: Date.now() };
  }
  var frames = new Frames(() => {
    const isMore = VIEWS[view].draw({ fleet: fleet2, evaluated, context: context2(), place: place2, connection: link, all });
    draw({ alarms });
    all = false;
    if (isMore) frames.ask();
  });
  function tick() {
    const now = context2();
    evaluated = [...fleet2.devices.values()].map((device) => ({ device, findings: findings(device, now.now_ms) }));
    const fresh = evaluated.flatMap(({ device, findings: found }) => alarms.look(device, found, now));
    if (fresh.length > 0) play(performance.now());
    all = true;
    frames.ask();
  }
  function drawLink() {
    const node = byId("link");
    node.className = `link ${link.state}`;
    node.textContent = t(`link.${link.state}`);
    show(byId("away"), link.state === "away");
  }
  function setLink(change2) {
    link = { ...link, ...change2 };
    drawLink();
    frames.ask();
  }
  function connect(typed) {
    remember(typed);
    fleet2 = new Fleet(settings);
    setLink({ url: typed.url, username: typed.username, version: null, state: "connecting" });
    connection = new Connection(typed, {
      onConnected(version) {
        fleet2.back(performance.now());
        setLink({ version, state: "on" });
      },
      onAway() {
        if (link.state === "on") {
          alarms.away(Date.now());
          play(performance.now());
        }
        fleet2.away(performance.now());
        setLink({ state: link.version === null ? "connecting" : "away" });
      },
      onMessage(topic, payload, { retained, expiry_s }) {
        fleet2.take(topic, payload, { at_ms: Date.now(), now_ms: performance.now(), retained, expiry_s });
        frames.ask();
      },
      onRefused(reason) {
        leave();
        say(t(`connect.refused.${reason}`));
      }
    });
    show(byId("connect"), false);
    show(byId("page"), true);
    route();
    byId(`view-${view}`).querySelector("h2").focus();
  }
  function leave() {
    connection?.close();
    connection = null;
    forget();
    forgetPassword();
    setLink({ state: "off", version: null });
    show(byId("page"), false);
    show(byId("connect"), true);
    byId("connect-username").focus();
  }
  function route() {
    const [, name2 = "", ...rest] = location.hash.split("/");
    const wanted2 = Object.hasOwn(VIEWS, name2) ? name2 : "overview";
    const moved = wanted2 !== view;
    [view, place2, all] = [wanted2, rest, true];
    for (const each of Object.keys(VIEWS)) show(byId(`view-${each}`), each === view);
    for (const node of document.querySelectorAll("nav a")) {
      if (node.id === `nav-${VIEWS[view].nav}`) node.setAttribute("aria-current", "page");
      else node.removeAttribute("aria-current");
    }
    document.title = `${t(`nav.${view}`)} · Leukoscope`;
    frames.now();
    if (moved) byId(`view-${view}`).querySelector("h2").focus();
  }
  function setTheme(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    localStorage.setItem(THEME, theme);
    byId("theme").value = theme;
  }
  async function start6() {
    start();
    start4(
      (language2) => {
        use(language2);
        drawLink();
        drawSound();
        route();
      },
      setTheme,
      leave
    );
    setTheme(["light", "dark"].find((each) => each === localStorage.getItem(THEME)) ?? "auto");
    drawSound();
    start5();
    start2(alarms, () => frames.now());
    const loaded = await load();
    settings = loaded.settings;
    start3(loaded, connect);
    addEventListener("hashchange", route);
    setInterval(tick, TICK_MS);
    const typed = remembered();
    if (typed === null) leave();
    else connect(typed);
  }
  start6();
})();
