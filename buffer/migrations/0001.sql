-- A lane each. seq is the rowid: appending touches the last page only, and no index. leaf_no counts over all
-- lanes of the spool, from 0, in the order of commitment: the leaf's place in one RFC 6962 tree.
CREATE TABLE alarm (
    seq INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    leaf_no INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE reading (
    seq INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    leaf_no INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE snapshot (
    seq INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    leaf_no INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    leaf_no INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Who this spool is: drawn with the file, so that a record's key never repeats, not even after a disk swap.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO meta (name, value) VALUES ('spool_id', lower(hex(randomblob(8))));

-- Small named values of the owner, written in the transaction they belong to.
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

-- Where each recipient stands in each lane.
CREATE TABLE position (
    recipient TEXT NOT NULL,
    lane TEXT NOT NULL,
    low INTEGER NOT NULL,
    ranges BLOB NOT NULL,
    PRIMARY KEY (recipient, lane)
) STRICT;

-- Stored bytes of a lane's kept records up to counted_to, so that opening need not add up a whole lane.
CREATE TABLE tally (lane TEXT PRIMARY KEY, counted_to INTEGER NOT NULL, stored_bytes INTEGER NOT NULL) STRICT;
