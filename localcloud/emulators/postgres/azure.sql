-- What Azure's flexible server has in its database "postgres" beyond PostgreSQL itself: the administrators' group, and the
-- functions that make roles for Entra principals. Names and signatures are Azure's:
-- learn.microsoft.com/azure/postgresql/flexible-server/how-to-manage-azure-ad-users
-- Run by the superuser at each start; everything here may be there already.

do $$
begin
    if to_regrole('azure_pg_admin') is null then
        create role azure_pg_admin nologin;
        grant pg_read_all_settings, pg_read_all_stats, pg_signal_backend to azure_pg_admin with admin option;
    end if;
end
$$;

create schema if not exists pgaadauth;
revoke all on schema pgaadauth from public;

-- Which principal may sign in as which role. By the role's number: a role of the same name made later is another one.
create table if not exists pgaadauth.principal (
    role oid primary key,
    object_id text not null,
    object_type text not null check (object_type in ('user', 'group', 'service')),
    is_admin boolean not null,
    is_mfa boolean not null
);

-- Makes a role that this principal, and nobody else, may sign in as. Its password is the server's own, which only the
-- door knows: on Azure such a role has none at all.
create or replace function pg_catalog.pgaadauth_create_principal_with_oid(
    rolename text, objectid text, objecttype text, isadmin boolean, ismfa boolean
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    verifier text := (select rolpassword from pg_authid where rolname = 'postgres');
begin
    if not pg_has_role(session_user, 'azure_pg_admin', 'member') then
        raise exception 'only a Microsoft Entra administrator can create roles for principals'
            using errcode = 'insufficient_privilege';
    end if;
    if objectid !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        raise exception 'objectId must be a GUID, got "%"', objectid using errcode = 'invalid_parameter_value';
    end if;
    execute format('create role %I login password %L', rolename, verifier);
    if isadmin then
        execute format('alter role %I createrole createdb', rolename);
        execute format('grant azure_pg_admin to %I', rolename);
    else
        -- Administrators may change and drop it; they do not become it.
        execute format('grant %I to azure_pg_admin with admin true, inherit false, set false', rolename);
    end if;
    insert into pgaadauth.principal
    select oid, lower(objectid), objecttype, isadmin, ismfa from pg_roles where rolname = rolename;
    return format('Created role for %s', rolename);
end
$$;
revoke all on function pg_catalog.pgaadauth_create_principal_with_oid from public;
grant execute on function pg_catalog.pgaadauth_create_principal_with_oid to azure_pg_admin;

-- The roles of principals: the administrators' (true) or everybody else's.
create or replace function pg_catalog.pgaadauth_list_principals(isadminvalue boolean)
returns table (rolname name, principaltype text, objectid text, tenantid text, ismfa integer, isadmin integer)
language sql security definer stable set search_path = pg_catalog, pg_temp as $$
    select r.rolname, p.object_type, p.object_id, ''::text, p.is_mfa::integer, p.is_admin::integer
    from pgaadauth.principal p join pg_roles r on r.oid = p.role
    where p.is_admin = isadminvalue
$$;
revoke all on function pg_catalog.pgaadauth_list_principals from public;
grant execute on function pg_catalog.pgaadauth_list_principals to azure_pg_admin;

-- For the door, at each sign-in: whose role this is. PostgreSQL knows no right that keeps a role from giving itself a
-- password; on Azure it would be of no use, so here it is taken away again.
create or replace function pgaadauth.principal_of(rolename text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    verifier text := (select rolpassword from pg_authid where rolname = 'postgres');
    own text;
    owner text;
begin
    select a.rolpassword, p.object_id into own, owner
    from pg_authid a join pgaadauth.principal p on p.role = a.oid where a.rolname = rolename;
    if found and own is distinct from verifier then
        execute format('alter role %I password %L', rolename, verifier);
    end if;
    return owner;
end
$$;
