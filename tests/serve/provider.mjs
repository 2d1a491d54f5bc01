// An OpenID Connect provider for a test: `node provider.mjs MODULE PORT KEY`. MODULE is where oidc-provider is, PORT may be 0, and
// KEY names the key that it signs with. Prints its issuer.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';

const [module, port, key] = process.argv.slice(2);
const { default: Provider } = await import(module);

const groups = { alice: ['pki', 'staff'], bob: ['staff'], eve: [] };
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...privateKey.export({ format: 'jwk' }), kid: key, alg: 'ES256', use: 'sig' };
const oldKind = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const server = createServer();
server.listen(Number(port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = { redirect_uris: ['http://127.0.0.1/login/callback'], application_type: 'native', id_token_signed_response_alg: 'ES256' };
  const device = { ...client, redirect_uris: [], response_types: [], token_endpoint_auth_method: 'none', grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'] };
  const provider = new Provider(issuer, {
    clients: [
      { ...client, client_id: 'windlass', client_secret: 'a secret: with %', grant_types: ['authorization_code'] },
      { ...device, client_id: 'windlass-cli' },
      { ...device, client_id: 'another-app' },
    ],
    jwks: { keys: [jwk, { ...oldKind, kid: 'rsa', alg: 'RS256', use: 'sig' }] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
    // As most providers do for programs; the page asks for the rest at the userinfo endpoint.
    conformIdTokenClaims: process.env.CONFORM === '1',
    features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true, mask: '****-****' } },
    clientBasedCORS: () => true,
    pkce: { required: (ctx, client) => client.clientId === 'windlass' },
    cookies: { keys: ['a key of a test'] },
    issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    async findAccount(ctx, id) {
      return {
        accountId: id,
        claims: async () => ({ sub: id, email: `${id}@example.com`, email_verified: id !== 'eve', groups: groups[id] ?? [] }),
      };
    },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
