// Keys of an identity provider: what it publishes, and the tokens that it signs with them.
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/* A key of an algorithm and a name (undefined: none). */
export function makeKey(alg, kid) {
  if (alg === 'HS256') {
    const secret = randomBytes(32);
    return new Key(alg, kid, { kty: 'oct', k: secret.toString('base64url') }, (text) => createHmac('sha256', secret).update(text).digest());
  }
  const { publicKey, privateKey } = alg === 'RS256'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = new Key(alg, kid, publicKey.export({ format: 'jwk' }), (text) => sign('sha256', text, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
  key.publicPem = publicKey.export({ type: 'spki', format: 'pem' });
  key.privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return key;
}

class Key {
  constructor(alg, kid, members, signer) {
    Object.assign(this, { alg, kid, signer });
    this.jwk = { ...members, alg, use: 'sig', ...(kid === undefined ? {} : { kid }) };
  }

  /* A token that expires in an hour, unless `exp` is among the claims. */
  token(claims, header = {}) {
    const head = { alg: this.alg, typ: 'JWT', ...(this.kid === undefined ? {} : { kid: this.kid }), ...header };
    const text = `${base64url(head)}.${base64url({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`;
    return `${text}.${this.signer(Buffer.from(text)).toString('base64url')}`;
  }
}

export const keySet = (...keys) => JSON.stringify({ keys: keys.map((key) => key.jwk) });
