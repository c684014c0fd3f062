-- A SQLite ledger of revision 0009 as its version wrote and sealed it: two films with results, a refused and a waiting file.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0009');
CREATE TABLE audit_log (
	position INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	previous_sha256 VARCHAR(64) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit_log PRIMARY KEY (position), 
	CONSTRAINT uq_audit_log_previous_sha256 UNIQUE (previous_sha256)
);
INSERT INTO "audit_log" VALUES(1,'2026-11-29 02:50:05.396432','ledger','sealed','site_keys','{"site_keys":{"0":[1,"591efebf8b61fd37a73f9cd13c6744db36f2de82b372dff2796aba222303602c"]}}','0000000000000000000000000000000000000000000000000000000000000000','aa415c36513497cd2119653a3af7afb300f2c3526aeae1a784734280f4002e54');
INSERT INTO "audit_log" VALUES(2,'2026-03-01 12:00:00.000000','test','model-added','m1','{"keras_sha256":"afeb88e56a41ff5ebad467f77738ac8c0b1e413f628231238d4cf064ab575871","manifest_sha256":"615f73034836b65cf4a37c8312cd55edbeed0405b05629113c9a093ac93df712","onnx_sha256":"23e4ae3d5abe0f7866f1016da12daef59da3fc74326198955dc58d25961fb958"}','aa415c36513497cd2119653a3af7afb300f2c3526aeae1a784734280f4002e54','654f65e19578677f200b3c92d349cda3c679a9f013aad2fbce4cb79e129bcf1c');
INSERT INTO "audit_log" VALUES(3,'2026-03-01 12:00:00.000000','test','model-promoted','m1','{"before":null,"evaluation_id":null,"reason":"it is better"}','654f65e19578677f200b3c92d349cda3c679a9f013aad2fbce4cb79e129bcf1c','91272e4a7aba27af2883bd93c4d06ffb1786e2429fd229f51313b27e9b82f824');
INSERT INTO "audit_log" VALUES(4,'2026-11-29 02:50:05.749364','ledger','sealed','champion_terms, models','{"champion_terms":{"0":[1,"0c4c3f45a1e5244acee8a2e2a89190b1111ceef34c19d214085580c25b27e9e0"]},"models":{"0":[1,"3c1edd1bccf3f03acb63464704c9acebc8b0f9e26b4782f6a41f584064dfa5c5"]}}','91272e4a7aba27af2883bd93c4d06ffb1786e2429fd229f51313b27e9b82f824','6d9828d38353dabf81ac2335df49affa01f42826a93c68072a5cfb93f6393d0b');
INSERT INTO "audit_log" VALUES(5,'2026-11-29 02:50:05.961607','ledger','sealed','folders','{"folders":{"0":[1,"5d91a2ac4f35c7e1aefd0bd5532a5a3037c309a2b3c25c0bb22a463c233b3dd7"]}}','6d9828d38353dabf81ac2335df49affa01f42826a93c68072a5cfb93f6393d0b','e7b049e490e9c6cbeb86aa427049b164ab0be341f86e8c992fb563c74126ab03');
INSERT INTO "audit_log" VALUES(6,'2026-11-29 02:50:06.274560','ledger','sealed','patient_facts','{"patient_facts":{"0":[2,"cda0325ed578828ba1cc2fc967b01c849a45c71642ea88b6921a6aa71be7033f"]}}','e7b049e490e9c6cbeb86aa427049b164ab0be341f86e8c992fb563c74126ab03','06cc680433f25e9b4bafbb2c1ba6923008d12fd41e1978481fab2989f879cdb9');
INSERT INTO "audit_log" VALUES(7,'2026-11-29 02:50:06.675423','ledger','sealed','incoming_files, patient_facts, results, scans, xrays','{"incoming_files":{"0":[3,"3aa289e33aa7f21cf358abaa58f977b64042e530fb799a511812c839f8980a3a"]},"patient_facts":{"0":[1,"0785381347c3cfbfc1472879b3d494a836b023923245dd718b357aac14e0c337"]},"results":{"0":[2,"4c439ea8f2e6a1aae8c427a47c4344c1395c88a72645c320e7b1ea6cf980fd2e"]},"scans":{"0":[1,"8a8a9e15c8df496f97e49dd2679f118cf0c55a5351a0fc458f958e3925e35fb2"]},"xrays":{"0":[2,"5d9327fe00ce51c9f8371262a4a4e4ada019f457a95ca7b13d342fd45a025968"]}}','06cc680433f25e9b4bafbb2c1ba6923008d12fd41e1978481fab2989f879cdb9','ebad97fc3f7a3893681aa0c90d2e588428fd553b571f638b4e809c4dc1eaad40');
INSERT INTO "audit_log" VALUES(8,'2026-11-29 02:50:06.891076','ledger','sealed','labels','{"labels":{"0":[1,"c94eb384376c51fe2abb8eb49a135d5808b3cde942453a0598ac9d116bd23d3e"]}}','ebad97fc3f7a3893681aa0c90d2e588428fd553b571f638b4e809c4dc1eaad40','258fcafcff1c67a7cefb38f6376304d012fc6cc25c9779447deda5ae954af4d3');
INSERT INTO "audit_log" VALUES(9,'2026-11-29 02:50:06.933276','ledger','sealed','split_members','{"split_members":{"0":[2,"eac0456ba163b3c0b4c7d9a9e983236f62f9db95b53af8d4a19ae78aaf853a38"]}}','258fcafcff1c67a7cefb38f6376304d012fc6cc25c9779447deda5ae954af4d3','5aefc88bfb81d41786b9e4dd3d0cf9a17baa049cfd92ccc661996a3f1561257c');
CREATE TABLE champion_terms (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	until DATETIME, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	evaluation_id INTEGER, 
	PRIMARY KEY (id), 
	CONSTRAINT fk_champion_terms_model_id FOREIGN KEY(model_id) REFERENCES models (id), 
	CONSTRAINT fk_champion_terms_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id)
);
INSERT INTO "champion_terms" VALUES(1,1,'2026-03-01 12:00:00.000000',NULL,'test','it is better',NULL);
CREATE TABLE evaluations (
	id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	set_name TEXT NOT NULL, 
	label_set_sha256 VARCHAR(64) NOT NULL, 
	figures TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT fk_evaluations_model_id FOREIGN KEY(model_id) REFERENCES models (id)
);
CREATE TABLE folders (
	id INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	place TEXT NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_folders_kind_place UNIQUE (kind, place), 
	CONSTRAINT ck_folders_kind CHECK (kind IN ('incoming', 'archive', 'dataset'))
);
INSERT INTO "folders" VALUES(1,'incoming','','2026-03-01 12:00:00.000000');
CREATE TABLE incoming_files (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	ctime_ns BIGINT NOT NULL, 
	signature BIGINT NOT NULL, 
	state VARCHAR(32) NOT NULL CONSTRAINT ck_incoming_files_state CHECK (state IN ('new', 'deferred', 'scored', 'rejected')), 
	reason_code VARCHAR(32) CONSTRAINT ck_incoming_files_reason_code CHECK (reason_code IN ('UNSETTLED', 'EMPTY', 'TRUNCATED', 'CHANGED_DURING_READ', 'GONE', 'UNREADABLE', 'SYMLINK', 'NOT_REGULAR_FILE', 'FILE_TOO_LARGE', 'BAD_NAME', 'UNSUPPORTED_FORMAT', 'CORRUPT_IMAGE', 'CORRUPT_DICOM', 'TOO_MANY_PIXELS', 'TOO_SMALL', 'BAD_ASPECT', 'MULTI_FRAME', 'UNSUPPORTED_COLOUR', 'NOT_GREYSCALE', 'TRANSPARENT_PIXELS', 'ONE_BIT_IMAGE', 'NO_CONTRAST', 'NON_FINITE_PIXELS', 'UNSUPPORTED_TRANSFER_SYNTAX', 'NO_PIXEL_DATA', 'PIXEL_DATA_MISMATCH', 'WRONG_MODALITY', 'WRONG_BODY_PART', 'DECODE_TIMEOUT', 'DECODER_CRASHED', 'RESOURCE_LIMIT', 'NON_FINITE_SCORE', 'FEW_GREY_LEVELS')), 
	reason_detail TEXT, 
	xray_id INTEGER, 
	refused_sha256 VARCHAR(64), 
	first_seen_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	deferred_since DATETIME, 
	retry_at DATETIME, 
	tries INTEGER NOT NULL, 
	claimed_by TEXT, 
	claimed_until DATETIME, 
	superseded_at DATETIME, left_at DATETIME, folder_id INTEGER NOT NULL CONSTRAINT fk_incoming_files_folder_id REFERENCES folders (id), 
	PRIMARY KEY (id), 
	CONSTRAINT ck_incoming_files_scored_has_xray CHECK (state <> 'scored' OR xray_id IS NOT NULL), 
	CONSTRAINT ck_incoming_files_refused_has_reason CHECK (state NOT IN ('deferred', 'rejected') OR reason_code IS NOT NULL), 
	CONSTRAINT ck_incoming_files_deferred_has_retry CHECK (state <> 'deferred' OR retry_at IS NOT NULL), 
	CONSTRAINT ck_incoming_files_decided_is_free CHECK (state NOT IN ('scored', 'rejected') OR claimed_by IS NULL), 
	CONSTRAINT ck_incoming_files_claim_is_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)), 
	CONSTRAINT fk_incoming_files_xray_id FOREIGN KEY(xray_id) REFERENCES xrays (id)
);
INSERT INTO "incoming_files" VALUES(1,'a.png',100,1000,1000,2518949635258017190,'scored',NULL,NULL,1,NULL,'2026-03-01 12:00:00.123456','2026-03-01 12:00:01.123456',NULL,NULL,0,NULL,NULL,NULL,NULL,1);
INSERT INTO "incoming_files" VALUES(2,'b.png',100,1000,1000,-6298114374726021464,'scored',NULL,NULL,2,NULL,'2026-03-01 12:00:00.123456','2026-03-01 12:00:01.123456',NULL,NULL,0,NULL,NULL,NULL,NULL,1);
INSERT INTO "incoming_files" VALUES(3,'c.png',100,1000,1000,-220618000284669387,'rejected','CORRUPT_IMAGE','for a reason',NULL,'6b23c0d5f35d1b11f9b683f0b0a617355deb11277d91ae091d399c655b87940d','2026-03-01 12:00:00.123456','2026-03-01 12:00:01.123456',NULL,NULL,1,NULL,NULL,NULL,NULL,1);
INSERT INTO "incoming_files" VALUES(4,'d.png',100,1000,1000,7596663154670802253,'deferred','UNSETTLED','for a reason',NULL,NULL,'2026-03-01 12:00:00.123456','2026-03-01 12:00:01.123456','2026-03-01 12:00:01.123456','2026-03-01 12:00:30.123456',1,NULL,NULL,NULL,NULL,1);
CREATE TABLE labels (
	id INTEGER NOT NULL, 
	xray_id INTEGER NOT NULL, 
	label VARCHAR(32) NOT NULL CONSTRAINT ck_labels_label CHECK (label IN ('covid', 'normal', 'unsure', 'exclude', 'other')), 
	reader TEXT, 
	labelled_at DATETIME, 
	source TEXT NOT NULL, 
	import_sha256 VARCHAR(64) NOT NULL, 
	imported_at DATETIME NOT NULL, list_item_id INTEGER CONSTRAINT fk_labels_list_item_id REFERENCES reading_list_items (id), role VARCHAR(32) NOT NULL DEFAULT 'reader' CONSTRAINT ck_labels_role CHECK (role IN ('reader', 'adjudicator')), sure BOOLEAN, score_visible BOOLEAN, shown_at DATETIME, seconds FLOAT, exclude_reason TEXT, note TEXT, prior_used BOOLEAN, request_id VARCHAR(64), 
	PRIMARY KEY (id), 
	CONSTRAINT ck_labels_source CHECK (source IN ('csv', 'folder', 'dataset', 'page')), 
	CONSTRAINT fk_labels_xray_id FOREIGN KEY(xray_id) REFERENCES xrays (id)
);
INSERT INTO "labels" VALUES(1,1,'covid','r1',NULL,'csv','0000000000000000000000000000000000000000000000000000000000000000','2026-03-01 12:00:00.000000',NULL,'reader',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE models (
	id INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	stage VARCHAR(32) NOT NULL CONSTRAINT ck_models_stage CHECK (stage IN ('candidate', 'champion', 'retired', 'rejected')), 
	architecture TEXT NOT NULL, 
	preprocessing_version TEXT NOT NULL, 
	keras_sha256 VARCHAR(64) NOT NULL, 
	onnx_sha256 VARCHAR(64) NOT NULL, 
	manifest_sha256 VARCHAR(64) NOT NULL, 
	label_set_sha256 VARCHAR(64), 
	created_at DATETIME NOT NULL, 
	proven BOOLEAN NOT NULL, 
	audit_verdict VARCHAR(32) CONSTRAINT ck_models_audit_verdict CHECK (audit_verdict IN ('clean', 'suspect', 'confounded')), 
	PRIMARY KEY (id), 
	CONSTRAINT uq_models_version UNIQUE (version), 
	CONSTRAINT ck_models_sha256 CHECK (length(keras_sha256) = 64 AND length(onnx_sha256) = 64 AND length(manifest_sha256) = 64)
);
INSERT INTO "models" VALUES(1,'m1','champion','seed_cnn','v2-150x150x3-unit','afeb88e56a41ff5ebad467f77738ac8c0b1e413f628231238d4cf064ab575871','23e4ae3d5abe0f7866f1016da12daef59da3fc74326198955dc58d25961fb958','615f73034836b65cf4a37c8312cd55edbeed0405b05629113c9a093ac93df712',NULL,'2026-03-01 12:00:00.000000',0,NULL);
CREATE TABLE patient_facts (
	id INTEGER NOT NULL, 
	sha256 VARCHAR(64), 
	name TEXT, 
	patient TEXT NOT NULL, 
	source VARCHAR(32) NOT NULL, 
	import_sha256 VARCHAR(64) NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_patient_facts_of_one_film CHECK ((sha256 IS NULL) <> (name IS NULL)), 
	CONSTRAINT ck_patient_facts_source CHECK (source IN ('csv', 'labels', 'dataset', 'delivery'))
);
INSERT INTO "patient_facts" VALUES(1,'559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd',NULL,'pppp','csv','0000000000000000000000000000000000000000000000000000000000000000','2026-03-01 12:00:00.123456');
INSERT INTO "patient_facts" VALUES(2,NULL,'e.png','p2','csv','0000000000000000000000000000000000000000000000000000000000000000','2026-03-01 12:00:00.123456');
INSERT INTO "patient_facts" VALUES(3,'559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd',NULL,'2295ff7a8bd8b3f2884c6482146e3ded','delivery','559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd','2026-03-01 12:00:01.123456');
CREATE TABLE readers (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	folded TEXT NOT NULL, 
	added_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_readers_folded UNIQUE (folded)
);
CREATE TABLE reading_list_items (
	id INTEGER NOT NULL, 
	list_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	xray_id INTEGER NOT NULL, 
	reason VARCHAR(32) NOT NULL CONSTRAINT ck_reading_list_items_reason CHECK (reason IN ('audit', 'repeat', 'unlike', 'refer', 'shadow', 'doubt', 'label')), 
	selection_probability FLOAT NOT NULL, 
	reveal BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_reading_list_items_list_id_position UNIQUE (list_id, position), 
	CONSTRAINT uq_reading_list_items_list_id_xray_id UNIQUE (list_id, xray_id), 
	CONSTRAINT ck_reading_list_items_selection_probability CHECK (selection_probability > 0 AND selection_probability <= 1), 
	CONSTRAINT fk_reading_list_items_list_id FOREIGN KEY(list_id) REFERENCES reading_lists (id), 
	CONSTRAINT fk_reading_list_items_xray_id FOREIGN KEY(xray_id) REFERENCES xrays (id)
);
CREATE TABLE reading_lists (
	id INTEGER NOT NULL, 
	reader_id INTEGER NOT NULL, 
	seed BIGINT NOT NULL, 
	reveal_share FLOAT NOT NULL, 
	guide_sha256 VARCHAR(64), 
	made_at DATETIME NOT NULL, purpose VARCHAR(32) NOT NULL DEFAULT 'reading' CONSTRAINT ck_reading_lists_purpose CHECK (purpose IN ('reading', 'adjudication', 'again')), 
	PRIMARY KEY (id), 
	CONSTRAINT ck_reading_lists_reveal_share CHECK (reveal_share >= 0 AND reveal_share <= 1), 
	CONSTRAINT fk_reading_lists_reader_id FOREIGN KEY(reader_id) REFERENCES readers (id)
);
CREATE TABLE results (
	id INTEGER NOT NULL, 
	xray_id INTEGER NOT NULL, 
	model_id INTEGER NOT NULL, 
	preprocessing_version TEXT NOT NULL, 
	probability FLOAT NOT NULL, 
	outcome VARCHAR(32) NOT NULL CONSTRAINT ck_results_outcome CHECK (outcome IN ('positive', 'negative', 'refer')), 
	refer_reason TEXT, 
	distance FLOAT, 
	scored_at DATETIME NOT NULL, 
	flow_run_id TEXT, 
	duration_ms FLOAT NOT NULL, 
	shadow BOOLEAN NOT NULL, study VARCHAR(32), image VARCHAR(32), 
	PRIMARY KEY (id), 
	CONSTRAINT uq_results_xray_id_model_id_preprocessing_version UNIQUE (xray_id, model_id, preprocessing_version), 
	CONSTRAINT ck_results_probability CHECK (probability >= 0 AND probability <= 1), 
	CONSTRAINT fk_results_xray_id FOREIGN KEY(xray_id) REFERENCES xrays (id), 
	CONSTRAINT fk_results_model_id FOREIGN KEY(model_id) REFERENCES models (id)
);
INSERT INTO "results" VALUES(1,1,1,'v2-150x150x3-unit',0.9,'positive',NULL,NULL,'2026-03-01 12:00:01.123456','0a2b9e34-5f0c-4a52-9d6b-3f1f6a1b2c3d',3.5,0,NULL,NULL);
INSERT INTO "results" VALUES(2,2,1,'v2-150x150x3-unit',0.2,'negative',NULL,NULL,'2026-03-01 12:00:01.123456','0a2b9e34-5f0c-4a52-9d6b-3f1f6a1b2c3d',3.5,0,NULL,NULL);
CREATE TABLE scans (
	id INTEGER NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME NOT NULL, 
	scans INTEGER NOT NULL, 
	scored INTEGER NOT NULL, 
	rejected INTEGER NOT NULL, 
	"deferred" INTEGER NOT NULL, 
	problem TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "scans" VALUES(1,'2026-03-01 12:00:00.123456','2026-03-01 12:00:02.123456',1,2,1,1,NULL);
CREATE TABLE site_keys (
	id INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_site_keys_only_one CHECK (id = 1), 
	CONSTRAINT ck_site_keys_fingerprint CHECK (length(fingerprint) = 64)
);
INSERT INTO "site_keys" VALUES(1,'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','2026-03-01 12:00:00.000000');
CREATE TABLE split_members (
	split_group TEXT NOT NULL, 
	split VARCHAR(32) NOT NULL CONSTRAINT ck_split_members_split CHECK (split IN ('train', 'validation', 'test')), 
	assigned_at DATETIME NOT NULL, 
	CONSTRAINT pk_split_members PRIMARY KEY (split_group)
);
INSERT INTO "split_members" VALUES('content:df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c','test','2026-03-01 12:00:00.123456');
INSERT INTO "split_members" VALUES('pppp','train','2026-03-01 12:00:00.123456');
CREATE TABLE training_runs (
	id INTEGER NOT NULL, 
	label_set_sha256 VARCHAR(64) NOT NULL, 
	state VARCHAR(32) NOT NULL CONSTRAINT ck_training_runs_state CHECK (state IN ('running', 'finished', 'failed')), 
	label_watermark BIGINT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	claimed_by TEXT, 
	claimed_until DATETIME, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	candidate_model_id INTEGER, 
	verdict VARCHAR(32) CONSTRAINT ck_training_runs_verdict CHECK (verdict IN ('promote', 'reject', 'insufficient evidence')), 
	reason TEXT, 
	policy_sha256 VARCHAR(64), 
	flow_run_id TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_training_runs_label_set_sha256 UNIQUE (label_set_sha256), 
	CONSTRAINT ck_training_runs_claim_is_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL)), 
	CONSTRAINT ck_training_runs_finished_has_time CHECK ((state = 'running') = (finished_at IS NULL)), 
	CONSTRAINT fk_training_runs_candidate_model_id FOREIGN KEY(candidate_model_id) REFERENCES models (id)
);
CREATE TABLE xrays (
	id INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	patient TEXT, 
	source TEXT, 
	"view" TEXT, 
	sex TEXT, 
	age_group TEXT, 
	file_format VARCHAR(32) NOT NULL CONSTRAINT ck_xrays_file_format CHECK (file_format IN ('png', 'jpeg', 'dicom')), 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	mode TEXT NOT NULL, 
	scale_rule VARCHAR(32) NOT NULL CONSTRAINT ck_xrays_scale_rule CHECK (scale_rule IN ('8bit', 'minmax', 'voi')), 
	flags TEXT NOT NULL, 
	dhash TEXT NOT NULL, 
	path TEXT NOT NULL, 
	first_seen_at DATETIME NOT NULL, folder_id INTEGER REFERENCES folders (id), 
	PRIMARY KEY (id), 
	CONSTRAINT uq_xrays_sha256 UNIQUE (sha256), 
	CONSTRAINT ck_xrays_sha256 CHECK (length(sha256) = 64)
);
INSERT INTO "xrays" VALUES(1,'559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd','pppp',NULL,NULL,NULL,NULL,'png',640,480,'L','8bit','','0f0f0f0f0f0f0f0f','a.png','2026-03-01 12:00:01.123456',1);
INSERT INTO "xrays" VALUES(2,'df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c',NULL,NULL,NULL,NULL,NULL,'png',640,480,'L','8bit','','0f0f0f0f0f0f0f0f','b.png','2026-03-01 12:00:01.123456',1);
CREATE UNIQUE INDEX uq_models_champion ON models (stage) WHERE stage = 'champion';
CREATE TRIGGER results_refuses_update BEFORE UPDATE ON results BEGIN SELECT RAISE(ABORT, 'results is append-only'); END;
CREATE TRIGGER results_refuses_delete BEFORE DELETE ON results BEGIN SELECT RAISE(ABORT, 'results is append-only'); END;
CREATE TRIGGER split_members_refuses_update BEFORE UPDATE ON split_members BEGIN SELECT RAISE(ABORT, 'split_members is append-only'); END;
CREATE TRIGGER split_members_refuses_delete BEFORE DELETE ON split_members BEGIN SELECT RAISE(ABORT, 'split_members is append-only'); END;
CREATE TRIGGER evaluations_refuses_update BEFORE UPDATE ON evaluations BEGIN SELECT RAISE(ABORT, 'evaluations is append-only'); END;
CREATE TRIGGER evaluations_refuses_delete BEFORE DELETE ON evaluations BEGIN SELECT RAISE(ABORT, 'evaluations is append-only'); END;
CREATE TRIGGER audit_log_refuses_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_refuses_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_grows_at_its_end BEFORE INSERT ON audit_log WHEN NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM audit_log) BEGIN SELECT RAISE(ABORT, 'audit_log grows at its end only'); END;
CREATE TRIGGER models_stay_what_they_are BEFORE UPDATE OF id, version, architecture, preprocessing_version, keras_sha256, onnx_sha256, manifest_sha256, label_set_sha256, created_at ON models BEGIN SELECT RAISE(ABORT, 'a model version is immutable'); END;
CREATE TRIGGER models_refuses_delete BEFORE DELETE ON models BEGIN SELECT RAISE(ABORT, 'models are retired, never deleted'); END;
CREATE INDEX ix_patient_facts_sha256 ON patient_facts (sha256);
CREATE INDEX ix_patient_facts_name ON patient_facts (name);
CREATE TRIGGER site_keys_refuses_update BEFORE UPDATE ON site_keys BEGIN SELECT RAISE(ABORT, 'site_keys is append-only'); END;
CREATE TRIGGER site_keys_refuses_delete BEFORE DELETE ON site_keys BEGIN SELECT RAISE(ABORT, 'site_keys is append-only'); END;
CREATE TRIGGER folders_refuses_update BEFORE UPDATE ON folders BEGIN SELECT RAISE(ABORT, 'folders is append-only'); END;
CREATE TRIGGER folders_refuses_delete BEFORE DELETE ON folders BEGIN SELECT RAISE(ABORT, 'folders is append-only'); END;
CREATE TRIGGER patient_facts_refuses_update BEFORE UPDATE ON patient_facts BEGIN SELECT RAISE(ABORT, 'patient_facts is append-only'); END;
CREATE TRIGGER patient_facts_refuses_delete BEFORE DELETE ON patient_facts BEGIN SELECT RAISE(ABORT, 'patient_facts is append-only'); END;
CREATE INDEX ix_incoming_files_old_name ON incoming_files (name) WHERE superseded_at IS NOT NULL;
CREATE INDEX ix_incoming_files_decided ON incoming_files (signature, retry_at) WHERE superseded_at IS NULL AND state <> 'new';
CREATE INDEX ix_incoming_files_undecided ON incoming_files (retry_at) WHERE superseded_at IS NULL AND state IN ('new', 'deferred');
CREATE UNIQUE INDEX uq_incoming_files_current_name ON incoming_files (name, folder_id) WHERE superseded_at IS NULL;
CREATE INDEX ix_incoming_files_staying ON incoming_files (folder_id) WHERE superseded_at IS NULL AND state = 'scored' AND left_at IS NULL;
CREATE TRIGGER readers_refuses_update BEFORE UPDATE ON readers BEGIN SELECT RAISE(ABORT, 'readers is append-only'); END;
CREATE TRIGGER readers_refuses_delete BEFORE DELETE ON readers BEGIN SELECT RAISE(ABORT, 'readers is append-only'); END;
CREATE TRIGGER reading_lists_refuses_update BEFORE UPDATE ON reading_lists BEGIN SELECT RAISE(ABORT, 'reading_lists is append-only'); END;
CREATE TRIGGER reading_lists_refuses_delete BEFORE DELETE ON reading_lists BEGIN SELECT RAISE(ABORT, 'reading_lists is append-only'); END;
CREATE TRIGGER reading_list_items_refuses_update BEFORE UPDATE ON reading_list_items BEGIN SELECT RAISE(ABORT, 'reading_list_items is append-only'); END;
CREATE TRIGGER reading_list_items_refuses_delete BEFORE DELETE ON reading_list_items BEGIN SELECT RAISE(ABORT, 'reading_list_items is append-only'); END;
CREATE INDEX ix_labels_xray_id ON labels (xray_id, id);
CREATE TRIGGER labels_refuses_update BEFORE UPDATE ON labels BEGIN SELECT RAISE(ABORT, 'labels is append-only'); END;
CREATE TRIGGER labels_refuses_delete BEFORE DELETE ON labels BEGIN SELECT RAISE(ABORT, 'labels is append-only'); END;
CREATE UNIQUE INDEX uq_labels_request_id ON labels (request_id);
CREATE INDEX ix_labels_list_item_id ON labels (list_item_id);
CREATE VIEW current_results AS
SELECT x.id AS xray_id, x.sha256 AS sha256, x.patient AS patient,
       r.id AS result_id, r.model_id AS model_id, m.version AS model_version,
       r.preprocessing_version AS preprocessing_version, r.probability AS probability, r.outcome AS outcome,
       r.refer_reason AS refer_reason, r.scored_at AS scored_at,
       l.label AS label, l.reader AS labelled_by, l.labelled_at AS labelled_at,
       r.study AS study, r.image AS image
FROM xrays AS x
LEFT JOIN results AS r ON r.id = coalesce(
    (SELECT max(c.id) FROM results AS c
     WHERE c.xray_id = x.id AND NOT c.shadow AND c.model_id = (SELECT id FROM models WHERE stage = 'champion')),
    (SELECT max(n.id) FROM results AS n WHERE n.xray_id = x.id AND NOT n.shadow))
LEFT JOIN models AS m ON m.id = r.model_id
LEFT JOIN labels AS l ON l.id = (SELECT max(k.id) FROM labels AS k WHERE k.xray_id = x.id);
CREATE INDEX ix_xrays_folder_id ON xrays (folder_id);
CREATE INDEX ix_xrays_unknown_patient ON xrays (patient) WHERE patient IS NULL;
CREATE INDEX ix_incoming_files_unscored ON incoming_files (state, reason_code) WHERE superseded_at IS NULL AND state <> 'scored';
CREATE INDEX ix_evaluations_model_id ON evaluations (model_id, set_name);
COMMIT;
