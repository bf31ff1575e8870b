"""The ledger's tables. A migration is never edited once it has been released: add the next one."""

from __future__ import annotations

APPLICATION = 0x53696172  # "Siar", SQLite's application_id: says whose file this is

FIRST = """
CREATE TABLE item (
  number TEXT PRIMARY KEY,
  month TEXT NOT NULL,            -- yyyy-mm in the people's time zone
  serial INTEGER NOT NULL,        -- 1, 2, 3 ... within the month
  state TEXT NOT NULL,
  accepted_at TEXT NOT NULL,
  start_at TEXT NOT NULL,
  end_at TEXT NOT NULL,
  urgent INTEGER NOT NULL,
  draft TEXT NOT NULL,            -- hub.api.Draft without its assets, JSON
  sidecar TEXT NOT NULL,          -- digest of the parsed sidecar; '' = none
  target TEXT,                    -- where the dropped original stands now, for its receipt
  UNIQUE (month, serial)
) STRICT;
CREATE INDEX item_by_state ON item (state);
CREATE TABLE asset (
  item TEXT NOT NULL REFERENCES item,
  position INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  body TEXT NOT NULL,             -- hub.api.Asset, JSON
  PRIMARY KEY (item, position)
) STRICT;
CREATE INDEX asset_by_hash ON asset (sha256);
CREATE TABLE arrival (            -- accepted, but the dropped files may not be moved yet
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  hashes TEXT NOT NULL,
  item TEXT NOT NULL REFERENCES item,
  PRIMARY KEY (name, digest)
) STRICT;
CREATE TABLE rendition (
  asset TEXT NOT NULL,
  digest TEXT NOT NULL,           -- of the profile
  profile TEXT NOT NULL,
  state TEXT NOT NULL,            -- wanted, made, failed
  reason TEXT NOT NULL DEFAULT '',
  body TEXT,                      -- hub.api.Rendition, JSON, once made
  PRIMARY KEY (asset, digest)
) STRICT;
CREATE TABLE delivery (
  plugin TEXT NOT NULL,
  key TEXT NOT NULL,
  item TEXT NOT NULL REFERENCES item,
  destination TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  updated_at TEXT NOT NULL,
  body TEXT NOT NULL,             -- hub.api.Delivery, JSON
  PRIMARY KEY (plugin, key)
) STRICT;
CREATE INDEX delivery_by_item ON delivery (item);
CREATE TABLE want (
  plugin TEXT NOT NULL,
  key TEXT NOT NULL,
  position INTEGER NOT NULL,
  asset TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (plugin, key, position),
  FOREIGN KEY (plugin, key) REFERENCES delivery
) STRICT;
CREATE INDEX want_by_rendition ON want (asset, digest);
CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,             -- plan, transcode, deliver, withdraw
  key TEXT NOT NULL,
  lane TEXT NOT NULL,             -- jobs of one lane share its workers
  item TEXT NOT NULL,
  state TEXT NOT NULL,            -- queued, running, dead
  urgent INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  not_before TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  body TEXT NOT NULL DEFAULT '',
  again INTEGER NOT NULL DEFAULT 0, -- asked for once more while it ran
  UNIQUE (kind, key)
) STRICT;
CREATE INDEX job_queue ON job (state, not_before);
CREATE TABLE fact (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  recorded_at TEXT NOT NULL,
  plugin TEXT NOT NULL,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  item TEXT,
  body TEXT NOT NULL,
  UNIQUE (plugin, key)
) STRICT;
CREATE INDEX fact_by_item ON fact (item, seq);
CREATE TABLE play_total (
  item TEXT NOT NULL,
  destination TEXT NOT NULL,
  day TEXT NOT NULL,              -- yyyy-mm-dd in the people's time zone
  plays INTEGER NOT NULL,
  seconds REAL NOT NULL,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  PRIMARY KEY (item, destination, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE observer (
  name TEXT PRIMARY KEY,
  cursor INTEGER NOT NULL
) STRICT;
CREATE TABLE person_order (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  args TEXT NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  given_at TEXT NOT NULL,
  done INTEGER,                   -- NULL = not carried out yet
  outcome TEXT NOT NULL DEFAULT ''
) STRICT
"""

# Waiting for a dark screen is no bug: only bugs count towards giving up.
COUNT_BUGS = "ALTER TABLE job ADD COLUMN bugs INTEGER NOT NULL DEFAULT 0"

# With 100,000 items, what is asked at each start, at each step and every few seconds must not read all of them.
STAY_QUICK = """
DROP INDEX item_by_state;
CREATE INDEX item_by_state ON item (state, month, serial);
CREATE INDEX item_by_start ON item (state, start_at);
CREATE INDEX item_by_end ON item (state, end_at);
CREATE INDEX delivery_by_state ON delivery (state, plugin);
CREATE INDEX job_by_item ON job (item);
CREATE INDEX job_turn ON job (state, urgent, not_before, id, lane);
CREATE INDEX fact_filed ON fact (item, seq) WHERE kind = 'Filed';
CREATE INDEX order_waiting ON person_order (id) WHERE done IS NULL
"""

# Renditions that nobody needs go in time: the row stays, as 'removed', for late proofs of what was shown.
KEEP_OR_REMOVE = """
ALTER TABLE rendition ADD COLUMN idle_since TEXT;
CREATE INDEX rendition_by_state ON rendition (state, idle_since);
CREATE INDEX rendition_file ON rendition (body ->> '$.sha256') WHERE state = 'made'
"""

# Files that could not be looked at for want of memory: the machine's trouble, or the file's own?
COUNT_TRIES = """
CREATE TABLE attempt (
  sha256 TEXT PRIMARY KEY,
  tries INTEGER NOT NULL,
  last_at TEXT NOT NULL
) STRICT
"""

# A hub from before templates would show an emergency's film to everybody: it must refuse a ledger that may have one.
REFUSE_OLDER_HUBS = "SELECT 1"

MIGRATIONS = (FIRST, COUNT_BUGS, STAY_QUICK, KEEP_OR_REMOVE, COUNT_TRIES, REFUSE_OLDER_HUBS)
