-- Changes of rights, told to Causeway as they are committed. Works with any table: one trigger per table and lookup.
-- May be run again at any time.
--
--     CREATE OR REPLACE TRIGGER causeway_grants_members
--         AFTER INSERT OR DELETE OR UPDATE OF task_id, user_id ON task_members FOR EACH ROW
--         EXECUTE FUNCTION causeway_notify('task-member', 'task_id', 'user_id');
--
-- The first argument is the lookup's name in the catalogue, the others are the columns that hold its parameters, in
-- their order. What is sent is '<lookup>:<key>': for one parameter its text, for several a JSON array of texts.

CREATE OR REPLACE FUNCTION causeway_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lookup text := TG_ARGV[0];
    rows   jsonb[] := '{}';
    one    jsonb;
    key    text;
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN -- TRUNCATE: no rows to name
        PERFORM pg_notify('causeway_grants', lookup);
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        rows := rows || to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        rows := rows || to_jsonb(NEW);
    END IF;
    FOREACH one IN ARRAY rows LOOP
        IF TG_NARGS = 2 THEN
            key := one ->> TG_ARGV[1];
        ELSE
            SELECT jsonb_agg(one ->> TG_ARGV[i] ORDER BY i)::text INTO key FROM generate_series(1, TG_NARGS - 1) AS i;
        END IF;
        CONTINUE WHEN TG_NARGS = 2 AND key IS NULL; -- a parameter that is NULL concerns nobody
        -- A notification has less than 8000 bytes. One without a key means all keys of the lookup.
        PERFORM pg_notify('causeway_grants',
            CASE WHEN octet_length(lookup || ':' || key) < 8000 THEN lookup || ':' || key ELSE lookup END);
    END LOOP;
    RETURN NULL;
END
$$;

-- The tables of tables.sql. A deleted user takes his cities along (ON DELETE CASCADE), which fires the second trigger too.

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF id, role ON users FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('user', 'id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON users
    EXECUTE FUNCTION causeway_notify('user');

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF user_id, city_id ON manager_cities FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('cities-of-manager', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON manager_cities
    EXECUTE FUNCTION causeway_notify('cities-of-manager');

-- One key each: the reader, the participant, the participant of one task or document.

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF user_id, friend_id ON friends FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('friends-of-reader', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON friends
    EXECUTE FUNCTION causeway_notify('friends-of-reader');

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF user_id, chat_id ON chat_participants FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('chats-of-user', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON chat_participants
    EXECUTE FUNCTION causeway_notify('chats-of-user');

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF user_id, call_id ON call_participants FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('calls-of-user', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON call_participants
    EXECUTE FUNCTION causeway_notify('calls-of-user');

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF task_id, user_id ON task_participants FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('task-member', 'task_id', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON task_participants
    EXECUTE FUNCTION causeway_notify('task-member');

CREATE OR REPLACE TRIGGER causeway_grants
    AFTER INSERT OR DELETE OR UPDATE OF document_id, user_id ON document_participants FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('document-member', 'document_id', 'user_id');
CREATE OR REPLACE TRIGGER causeway_grants_all
    AFTER TRUNCATE ON document_participants
    EXECUTE FUNCTION causeway_notify('document-member');

CREATE OR REPLACE TRIGGER causeway_grants_request
    AFTER INSERT OR DELETE OR UPDATE OF call_id, user_id ON call_participants FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('call-participant', 'call_id', 'user_id');

-- Owner and assignee of a task are two keys, of both the old row and the new one.
CREATE OR REPLACE TRIGGER causeway_grants_owner
    AFTER INSERT OR DELETE OR UPDATE OF id, owner_id ON tasks FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('task-member', 'id', 'owner_id');
CREATE OR REPLACE TRIGGER causeway_grants_assignee
    AFTER INSERT OR DELETE OR UPDATE OF id, assignee_id ON tasks FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('task-member', 'id', 'assignee_id');
CREATE OR REPLACE TRIGGER causeway_grants_owner
    AFTER INSERT OR DELETE OR UPDATE OF id, owner_id ON documents FOR EACH ROW
    EXECUTE FUNCTION causeway_notify('document-member', 'id', 'owner_id');

-- Whose contact somebody is depends on the rows of others, and who stands in a call on whether it has ended: a change
-- cannot name the keys, so these lookups are asked again for everybody who uses them, once per statement.
CREATE OR REPLACE TRIGGER causeway_grants_contacts
    AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON chat_participants
    EXECUTE FUNCTION causeway_notify('contacts-of-user');
CREATE OR REPLACE TRIGGER causeway_grants_ended
    AFTER DELETE OR UPDATE OF ended_at OR TRUNCATE ON calls
    EXECUTE FUNCTION causeway_notify('calls-of-user');
CREATE OR REPLACE TRIGGER causeway_grants_ended_request
    AFTER DELETE OR UPDATE OF ended_at OR TRUNCATE ON calls
    EXECUTE FUNCTION causeway_notify('call-participant');
