/** The admin's pages and requests, with the permission that each needs. */
import type { Permission, Route } from 'bulkhead';

const CONTROLLER = 'MyCloudServiceController';

export const PERMISSIONS: Permission[] = [
  { name: 'View Servers', key: 'view-servers', description: 'View cloud servers' },
  { name: 'Manage Servers', key: 'manage-servers', description: 'Create and manage cloud servers' },
];

export const adminRoutes: Route[] = [
  {
    method: 'get',
    uri: 'servers',
    permission: 'view-servers',
    name: 'servers',
    controller: `${CONTROLLER}@servers`,
  },
  {
    method: 'get',
    uri: 'configuration',
    permission: 'view-servers',
    name: 'configuration',
    controller: `${CONTROLLER}@configuration`,
  },
];

export const apiRoutes: Route[] = [
  {
    method: 'post',
    uri: 'servers',
    permission: 'manage-servers',
    name: 'servers.create',
    controller: `${CONTROLLER}@createServer`,
  },
  {
    method: 'post',
    uri: 'servers/{uuid}/toggle',
    permission: 'manage-servers',
    name: 'servers.toggle',
    controller: `${CONTROLLER}@toggleServer`,
  },
];
